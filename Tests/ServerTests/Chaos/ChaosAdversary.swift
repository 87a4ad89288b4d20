import PoolCore
import PostgresSessions
import PostgresSessionsTesting
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Does harm to a bank, as its seed says: to its connections, its server, its pool and its tasks.
struct ChaosAdversary {
    private let bank: ChaosBank
    private var generator: SeededGenerator
    /// The longest pause between two harms, in microseconds.
    private let pause: Int
    private var crashes = 0
    private(set) var harms: [String: Int] = [:]

    init(_ bank: ChaosBank, seed: UInt64) {
        self.bank = bank
        generator = SeededGenerator(seed: seed)
        pause = [5_000, 30_000, 100_000].randomElement(using: &generator) ?? 0
    }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &generator) }

    mutating func rage(for duration: Duration) async throws {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end {
            try await Task.sleep(for: .microseconds(below(pause)))
            let harm = try await harm()
            harms[harm, default: 0] += 1
            try bank.checkHangs()
        }
        try await calm()
    }

    /// All is well again.
    func calm() async throws {
        try await bank.server.thaw()
        let proxy = try bank.shop.proxy
        proxy.cut(afterBytes: .max, .toClient)
        proxy.cut(afterBytes: .max, .toServer)
        proxy.latency = .zero
        proxy.resume()
        proxy.accept()
    }

    private mutating func harm() async throws -> String {
        let proxy = try bank.shop.proxy
        let direction = below(2) == 0 ? FaultProxy.Direction.toClient : .toServer
        switch below(100) {
        case ..<30:
            bank.cancel(below(ChaosBank.tellers))
            return "cancelled"
        case ..<42:
            await signal("pg_terminate_backend", limit: below(4) == 0 ? 100 : 1)
            return "terminated"
        case ..<48:
            await signal("pg_cancel_backend", limit: below(3) == 0 ? 100 : 1)
            return "cancelled by others"
        case ..<64:
            proxy.cut(afterBytes: below(below(2) == 0 ? 60 : 3000), direction)
            return "cut at a byte"
        case ..<70:
            proxy.cut(below(2) == 0 ? .close : .reset)
            return "cut"
        case ..<80:
            proxy.stall(direction)
            if below(3) == 0 { proxy.stall() }
            try await Task.sleep(for: .milliseconds(below(below(12) == 0 ? 4000 : 150)))
            proxy.resume()
            return "stalled"
        case ..<83:
            proxy.refuse()
            try await Task.sleep(for: .milliseconds(below(100)))
            proxy.accept()
            return "refused"
        case ..<88:
            bank.shop.engine.resize(size: 1 + below(6), maxOverflow: below(4))
            return "resized"
        case ..<91:
            bank.shop.engine.invalidate()
            return "invalidated"
        case ..<94:
            proxy.latency = .microseconds(below(3) == 0 ? below(8000) : 0)
            return "slowed"
        case ..<97:
            try await bank.server.freeze()
            try await Task.sleep(for: .milliseconds(below(below(8) == 0 ? 3000 : 200)))
            try await bank.server.thaw()
            return "frozen"
        default:
            guard crashes < 2 else { return "spared" }
            crashes += 1
            return try await crash()
        }
    }

    private func signal(_ function: String, limit: Int) async {
        let name = bank.shop.name
        _ = try? await bank.shop.witness.execute(
            """
            SELECT \(unsafeRaw: function)(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = \(name)
            ORDER BY random() LIMIT \(limit)) AS victims
            """)
    }

    /// The postmaster ends every process, and recovers.
    private func crash() async throws -> String {
        guard let victim = try? await bank.shop.backends().first else { return "spared" }
        guard kill(pid_t(victim), SIGKILL) == 0 else { return "spared" }
        return "crashed"
    }
}
