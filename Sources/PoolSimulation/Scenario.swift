import PoolCore

/// What one seed is about: a configuration, a workload, and a random subset of faults at random rates.
struct Scenario: Sendable {
    var configuration: PoolConfiguration
    var maxConnections: Int
    var requests: Int
    var chaosEnds: Int64
    var storms: Bool
    var holdTime: ClosedRange<Int64>
    var timeout: ClosedRange<Int64>
    var connectTime: ClosedRange<Int64>
    var timerLateness: Int64

    // Rates per occasion.
    var slowConnect: Double
    var failedConnect: Double
    var hungConnect: Double
    var failedPing: Double
    var failedReset: Double
    var slowClose: Double
    var givesUp: Double
    var needsReset: Double
    var breaks: Double
    var leaks: Double
    var nests: Double
    var isUrgent: Double
    var unnoticedDeath: Double
    var blamesThePool: Double

    // How many, over the time of chaos.
    var outages: Int
    var restarts: Int
    var deaths: Int
    var resizes: Int
    var invalidations: Int
    var warmUps: Int
    var clockJumps: Int
    var shutsDownInChaos: Bool

    init(_ choices: inout Choices) {
        let size = choices.number(1...6)
        configuration = PoolConfiguration(size: size, maxOverflow: choices.pick([0, 0, 1, 3, 8, nil]))
        chaosEnds = .seconds(20)
        requests = choices.number(20...250)
        storms = choices.sometimes(0.3)
        holdTime = choices.pick([.milliseconds(1)...Int64.milliseconds(5), .milliseconds(1)...Int64.seconds(2)])
        timeout = choices.pick([.milliseconds(50)...Int64.milliseconds(500), .seconds(1)...Int64.seconds(5)])
        connectTime = choices.pick([
            .milliseconds(1)...Int64.milliseconds(5), .milliseconds(20)...Int64.milliseconds(200),
        ])
        maxConnections = choices.sometimes(0.3) ? choices.number(1...8) : 100
        timerLateness = choices.pick([0, 0, .milliseconds(1), .milliseconds(20)])
        slowConnect = choices.rate(upTo: 0.5)
        failedConnect = choices.rate(upTo: 0.5)
        hungConnect = choices.rate(upTo: 0.3)
        failedPing = choices.rate(upTo: 0.3)
        failedReset = choices.rate(upTo: 0.5)
        slowClose = choices.rate(upTo: 0.5)
        givesUp = choices.rate(upTo: 0.5)
        needsReset = choices.rate(upTo: 0.5)
        breaks = choices.rate(upTo: 0.3)
        leaks = choices.rate(upTo: 0.1)
        nests = choices.rate(upTo: 0.2)
        isUrgent = choices.rate(upTo: 0.2)
        unnoticedDeath = choices.rate(upTo: 1)
        blamesThePool = choices.rate(upTo: 1)
        outages = choices.sometimes(0.5) ? choices.number(1...3) : 0
        restarts = choices.sometimes(0.3) ? choices.number(1...2) : 0
        deaths = choices.sometimes(0.5) ? choices.number(1...20) : 0
        resizes = choices.sometimes(0.3) ? choices.number(1...5) : 0
        invalidations = choices.sometimes(0.3) ? choices.number(1...5) : 0
        warmUps = choices.sometimes(0.3) ? choices.number(1...3) : 0
        clockJumps = choices.sometimes(0.2) ? choices.number(1...3) : 0
        shutsDownInChaos = choices.sometimes(0.2)
        tunePolicy(&choices)
    }

    private mutating func tunePolicy(_ choices: inout Choices) {
        configuration.seed = choices.word()
        configuration.order = choices.pick([.lifo, .fifo])
        configuration.prePingAlways = choices.sometimes(0.3)
        configuration.maxWaiters = choices.sometimes(0.2) ? choices.number(0...10) : nil
        configuration.minimumIdle = choices.sometimes(0.3) ? choices.number(1...configuration.size) : 0
        configuration.maxLifetime = choices.sometimes(0.4) ? choices.time(.seconds(1)...Int64.seconds(10)) : nil
        configuration.idleTimeout = choices.sometimes(0.4) ? choices.time(.milliseconds(100)...Int64.seconds(5)) : nil
        configuration.leakThreshold = choices.sometimes(0.4) ? choices.time(.milliseconds(500)...Int64.seconds(3)) : nil
        configuration.urgentReserve = choices.sometimes(0.3) ? 1 : 0
        configuration.outageTolerance = choices.pick([nil, .milliseconds(500), .seconds(5)])
        configuration.growth = choices.pick([
            PoolConfiguration.Growth(),
            PoolConfiguration.Growth(cold: 1, warm: 1, patience: .milliseconds(20), coldPatience: .milliseconds(40)),
            PoolConfiguration.Growth(cold: .max, warm: .max),
        ])
        configuration.backoff = PoolConfiguration.Backoff(
            base: .milliseconds(50), cap: .seconds(2), capForWaiters: .milliseconds(400))
        configuration.permanentBackoff = PoolConfiguration.Backoff(
            base: .milliseconds(500), cap: .seconds(4), capForWaiters: .seconds(1))
    }

    /// When the faults end, nothing goes wrong by chance any more.
    mutating func heal() {
        maxConnections = 100
        (slowConnect, failedConnect, hungConnect) = (0, 0, 0)
        (failedPing, failedReset, slowClose, givesUp) = (0, 0, 0, 0)
        (needsReset, breaks, leaks, nests) = (0, 0, 0, 0)
        (unnoticedDeath, blamesThePool, isUrgent) = (0, 0, 0)
    }
}
