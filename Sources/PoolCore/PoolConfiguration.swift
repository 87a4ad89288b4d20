/// Everything the policy may be told. Durations are nanoseconds.
package struct PoolConfiguration: Hashable, Sendable {
    /// Which idle connection is lent first: the one used last (the rest may age out), or the one that rested longest.
    package enum Order: Hashable, Sendable { case lifo, fifo }

    /// How soon to try again while the server refuses: full jitter between half of `base` and a ceiling that starts at
    /// `base`, doubles with each failure and stops at `cap`, or at `capForWaiters` while somebody waits.
    package struct Backoff: Hashable, Sendable {
        package var base: Int64
        package var cap: Int64
        /// How long a server may be back before those who wait are served: they may have little patience.
        package var capForWaiters: Int64
        /// 1: full jitter; 0: always the ceiling.
        package var jitter: Double

        package init(
            base: Int64 = .milliseconds(100), cap: Int64 = .seconds(5), capForWaiters: Int64 = .milliseconds(500),
            jitter: Double = 1
        ) {
            self.base = base
            self.cap = cap
            self.capForWaiters = capForWaiters
            self.jitter = jitter
        }
    }

    /// How many connections may be on their way at once. Requests share them: whoever waited longest takes whichever
    /// comes first, a new connection or a returned one, so a spike of short requests opens few connections.
    package struct Growth: Hashable, Sendable {
        /// While no connection is open, hence none can be returned.
        package var cold: Int
        /// While some are open.
        package var warm: Int
        /// When nothing has set out for this long, one more may, while there are more waiters than connections under way.
        package var patience: Int64
        /// The same while no connection is open: those that set out together answer together, and may then be enough.
        package var coldPatience: Int64
        /// After this long what is under way is taken to hang: one more sets out for those who count on it.
        package var stall: Int64

        package init(
            cold: Int = 5, warm: Int = 1, patience: Int64 = .milliseconds(100),
            coldPatience: Int64 = .milliseconds(250), stall: Int64 = .seconds(1)
        ) {
            self.cold = cold
            self.warm = warm
            self.patience = patience
            self.coldPatience = coldPatience
            self.stall = stall
        }
    }

    /// Connections that are kept when idle.
    package var size: Int
    /// Connections above `size`, closed at their return unless they are needed; nil: no limit.
    package var maxOverflow: Int?
    /// Requests for which there is neither a connection nor room to open one; one more is refused. nil: no limit.
    package var maxWaiters: Int?
    /// Ask every idle connection for a sign of life before it is lent.
    package var prePingAlways: Bool
    package var maxLifetime: Int64?
    /// The share of `maxLifetime` by which a lifetime may be shorter, so that connections do not all end together.
    package var lifetimeJitter: Double
    package var idleTimeout: Int64?
    /// Idle connections to keep ready in the background, within `size`.
    package var minimumIdle: Int
    package var order: Order
    package var growth: Growth
    package var backoff: Backoff
    /// The pace after a refusal that time alone does not heal: wrong password, missing database.
    package var permanentBackoff: Backoff
    /// When no connection was left for this long, requests are refused at once with the cause; nil: they wait.
    package var outageTolerance: Int64?
    /// Connections above `size + maxOverflow` that only urgent requests (health checks) may open.
    package var urgentReserve: Int
    /// A lease older than this is reported, once.
    package var leakThreshold: Int64?
    /// All chance comes from here.
    package var seed: UInt64

    package init(
        size: Int = 5,
        maxOverflow: Int? = 10,
        maxWaiters: Int? = nil,
        prePingAlways: Bool = false,
        maxLifetime: Int64? = nil,
        lifetimeJitter: Double = 0.1,
        idleTimeout: Int64? = nil,
        minimumIdle: Int = 0,
        order: Order = .lifo,
        growth: Growth = Growth(),
        backoff: Backoff = Backoff(),
        permanentBackoff: Backoff = Backoff(base: .seconds(1), cap: .seconds(30), capForWaiters: .seconds(5)),
        outageTolerance: Int64? = .seconds(30),
        urgentReserve: Int = 0,
        leakThreshold: Int64? = nil,
        seed: UInt64 = 0
    ) {
        self.size = size
        self.maxOverflow = maxOverflow
        self.maxWaiters = maxWaiters
        self.prePingAlways = prePingAlways
        self.maxLifetime = maxLifetime
        self.lifetimeJitter = lifetimeJitter
        self.idleTimeout = idleTimeout
        self.minimumIdle = minimumIdle
        self.order = order
        self.growth = growth
        self.backoff = backoff
        self.permanentBackoff = permanentBackoff
        self.outageTolerance = outageTolerance
        self.urgentReserve = urgentReserve
        self.leakThreshold = leakThreshold
        self.seed = seed
    }

    /// `size + maxOverflow`: how many sockets may exist for ordinary requests.
    package var capacity: Int {
        guard let maxOverflow else { return .max }
        let (sum, overflow) = size.addingReportingOverflow(maxOverflow)
        return overflow ? .max : sum
    }
}
