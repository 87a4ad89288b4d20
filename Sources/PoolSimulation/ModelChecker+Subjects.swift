package import PoolCore

extension ModelChecker {
    /// A tiny pool and what may happen to it.
    package struct Subject: Sendable, CustomStringConvertible {
        package let name: String
        package let configuration: PoolConfiguration
        package let alphabet: Alphabet

        package var description: String { name }
    }

    /// What is explored exhaustively. Times are small numbers; chance is off.
    package static let subjects: [Subject] = [
        subject("one connection, three clients", size: 1) { _, alphabet in alphabet.clients = 3 },
        subject("two connections, three clients", size: 2) { _, alphabet in alphabet.clients = 3 },
        subject("one connection and one more in need", size: 1, overflow: 1) { _, _ in },
        subject("waiters with different deadlines", size: 1) { _, alphabet in alphabet.timeouts = [0, 60, 100] },
        subject("a ping before every loan", size: 2) { configuration, alphabet in
            configuration.prePingAlways = true
            alphabet.clients = 2
        },
        subject("connections that age", size: 2) { configuration, alphabet in
            configuration.maxLifetime = 250
            configuration.idleTimeout = 120
            configuration.minimumIdle = 1
            alphabet.lateTimer = true
            alphabet.clients = 2
            alphabet.outcomes = [.clean, .broken]
        },
        subject("passwords that change", size: 2) { configuration, alphabet in
            alphabet.connectFailures = [.transient, .permanent]
            alphabet.clients = 2
        },
        subject("invalidation", size: 2) { _, alphabet in
            alphabet.invalidations = true
            alphabet.clients = 2
        },
        subject("growing and shrinking", size: 2) { _, alphabet in
            alphabet.sizes = [(2, 0), (1, 0), (1, 1)]
            alphabet.clients = 3
            alphabet.outcomes = [.clean, .broken]
        },
        subject("shutdown at any moment", size: 2) { configuration, alphabet in
            configuration.leakThreshold = 80
            alphabet.shutdownGrace = 50
            alphabet.warmUp = true
            alphabet.clients = 2
        },
        subject("health checks", size: 1) { configuration, alphabet in
            configuration.urgentReserve = 1
            configuration.maxWaiters = 1
            alphabet.urgentRequests = true
            alphabet.outcomes = [.clean, .broken]
        },
        subject("everything together", size: 1, overflow: 1) { configuration, alphabet in
            configuration.prePingAlways = true
            configuration.maxLifetime = 250
            configuration.idleTimeout = 120
            configuration.minimumIdle = 1
            configuration.urgentReserve = 1
            alphabet.connectFailures = [.transient, .permanent]
            alphabet.invalidations = true
            alphabet.urgentRequests = true
            alphabet.warmUp = true
            alphabet.shutdownGrace = 50
            alphabet.sizes = [(1, 1), (1, 0), (2, 0)]
            alphabet.clients = 2
        },
    ]

    private static func subject(
        _ name: String, size: Int, overflow: Int? = 0,
        _ adjust: (inout PoolConfiguration, inout Alphabet) -> Void
    ) -> Subject {
        var configuration = PoolConfiguration(size: size, maxOverflow: overflow, lifetimeJitter: 0)
        configuration.growth = PoolConfiguration.Growth(cold: 2, warm: 1, patience: 10, coldPatience: 20, stall: 30)
        configuration.backoff = PoolConfiguration.Backoff(base: 20, cap: 40, capForWaiters: 30, jitter: 0)
        configuration.permanentBackoff = PoolConfiguration.Backoff(base: 40, cap: 60, capForWaiters: 40, jitter: 0)
        configuration.outageTolerance = 70
        var alphabet = Alphabet()
        adjust(&configuration, &alphabet)
        return Subject(name: name, configuration: configuration, alphabet: alphabet)
    }
}
