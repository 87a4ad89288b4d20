import PoolCore

/// World 2: the machine in a world with a server, clients, faults and virtual time, on one thread. The same seed is the
/// same run, to the last line. Chaos, then healing, then a probe that must be served, then shutdown.
package struct Simulation: Sendable {
    package struct Failure: Sendable {
        package let promise: String
        package let configuration: String
        package let lastLines: [String]
    }

    package struct Outcome: Sendable {
        package let seed: UInt64
        package var digest: UInt64
        package var events: Int
        package var marks: Set<Mark>
        package var failure: Failure?
        package var opened: UInt64
        package var checkouts: UInt64
    }

    let seed: UInt64
    var choices: Choices
    var scenario: Scenario
    var machine: PoolStateMachine
    var oracle: Oracle
    var server: SimulatedServer
    var schedule = Schedule()
    var trace: Trace
    var now = PoolInstant(nanoseconds: 0)
    var events = 0
    var marks: Set<Mark> = []
    var promise: String?
    /// The moment at which the timer that is armed will fire: the deadline, or a little later.
    var armed: (deadline: PoolInstant, fires: PoolInstant)?
    var nextWaiter: UInt64 = 0
    /// Clients that wait, by arrival; and those that stopped listening before the answer came.
    var waiting: [Client] = []
    var cancelledAt: [WaiterID: PoolInstant] = [:]
    var leases: [LeaseID] = []
    var isHealed = false
    var effects = PoolEffects()

    package init(seed: UInt64, keepingLines kept: Int = 0) {
        self.seed = seed
        var choices = Choices(seed: seed)
        scenario = Scenario(&choices)
        self.choices = choices
        machine = PoolStateMachine(scenario.configuration)
        oracle = Oracle(scenario.configuration)
        server = SimulatedServer(maxConnections: scenario.maxConnections)
        trace = Trace(kept: kept)
    }

    /// Runs one seed; when a promise breaks, runs it again to tell the story.
    package static func run(seed: UInt64, tellingAll: Bool = false) -> Outcome {
        var simulation = Simulation(seed: seed, keepingLines: tellingAll ? .max / 4 : 0)
        simulation.play()
        if simulation.promise != nil, !tellingAll {
            simulation = Simulation(seed: seed, keepingLines: 40)
            simulation.play()
        }
        let snapshot = simulation.machine.snapshot
        var outcome = Outcome(
            seed: seed, digest: simulation.trace.digest, events: simulation.events, marks: simulation.marks,
            opened: snapshot.opened, checkouts: snapshot.checkouts)
        if simulation.promise != nil || tellingAll {
            outcome.failure = Failure(
                promise: simulation.promise ?? "nothing", configuration: "\(simulation.scenario)",
                lastLines: tellingAll ? simulation.trace.lines : simulation.trace.lines.suffix(40))
        }
        return outcome
    }

    private mutating func play() {
        planChaos()
        run(until: now + scenario.chaosEnds)
        heal()
        settle()
        checkRecovery()
        checkShutdown()
    }

    /// Lets the world go on until a time, or until nothing is left to happen.
    mutating func run(until end: PoolInstant) {
        while promise == nil {
            armTimer()
            let next = schedule.nextTime
            let fires = armed?.fires
            guard let time = [next, fires].compactMap({ $0 }).min(), time <= end else { break }
            if time > now { now = time }
            if let fires, fires == time, next != time || choices.sometimes(0.5) {
                armed = nil
                send(.wokeUp)
            } else if let (_, happening) = schedule.popFirst() {
                happen(happening)
            }
        }
        if promise == nil, end > now, end < .distantFuture { now = end }
    }

    private mutating func armTimer() {
        guard let deadline = machine.nextDeadline else {
            armed = nil
            return
        }
        if armed?.deadline == deadline { return }
        let lateness = scenario.timerLateness == 0 || isHealed ? 0 : choices.time(0...scenario.timerLateness)
        armed = (deadline, max(now, deadline + lateness))
    }

    mutating func plan(_ happening: Schedule.Happening, in delay: Int64) {
        schedule.add(happening, at: now + delay, tieBreak: choices.word())
    }

    /// One event: apply, check everything, write it down, let the world do what the pool asks for.
    mutating func send(_ event: PoolEvent) {
        guard promise == nil else { return }
        events += 1
        let before = machine.snapshot
        effects.removeAll()
        machine.apply(event, at: now, into: &effects)
        let wanted = Array(effects)
        trace.add(Trace.line(event, wanted, machine, at: now))
        do throws(Oracle.Violation) {
            try oracle.observe(event, wanted, at: now, snapshot: machine.snapshot)
        } catch {
            promise = error.description
        }
        if promise == nil { promise = machine.brokenInvariants().first }
        note(event, wanted, before)
        for effect in wanted where promise == nil { perform(effect) }
        if promise == nil, server.backends.count > machine.snapshot.live {
            promise = "P1: the server has \(server.backends.count) sockets, the pool knows \(machine.snapshot.live)"
        }
    }
}
