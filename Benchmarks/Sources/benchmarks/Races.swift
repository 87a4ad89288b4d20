extension Race {
    static let engine = "engine"
    static let plain = "plain tasks"
    static let pgbench = "pgbench"
    static let threads = "libpq threads"
    static let pipelined = "libpq pipelined"
    static let blocking = "libpq blocking"
    static let bare = "lock + queue"
    static let calm = "calm"
    static let storm = "cancelled"
    static let structs = "structs"
    static let tuples = "tuples"
    static let stream = "stream"
    static let whole = "libpq whole"
    static let single = "libpq single rows"
    static let psql = "psql"
    static let pipeline = "libpq pipeline"

    /// Who is who, printed above the tables.
    static let legend = """
          engine            this library, tasks on engine.executor, pool of 8
          plain tasks       the same on Swift's own executor
          pgbench           pgbench -S -M prepared -c 8 -j 2
          libpq threads     C, prepared and binary, a thread per connection, blocking
          libpq pipelined   the same; BEGIN and SELECT in one flight by hand, then COMMIT: 2 flights
          libpq blocking    the same; BEGIN, SELECT, COMMIT one after the other: 3 flights
          structs, tuples   this library, one connection: `all()` of 1,000,000 rows; stream: `stream()` of the same
          libpq whole       C: the whole result, then every value decoded; single rows: the same in single-row mode
          psql              psql's \\copy between a file and the server, the start of the process included
          libpq pipeline    C: BEGIN, 20,000 prepared inserts and COMMIT in one pipeline
          lock + queue      Swift: a mutex, a list and a queue of continuations; no deadline, no cancellation, no health
          calm, cancelled   this library, 64 tasks, pool of 8, statements of 10 ms; every tenth is cancelled in the server
        """

    static let select = Race(
        name: "select",
        title: "Prepared point SELECT on pgbench_accounts, scale \(Accounts.scale), 8 connections",
        entrants: [
            Entrant(label: engine, contestant: .engineSelect),
            Entrant(label: plain, contestant: .plainSelect),
            Entrant(label: pgbench, contestant: .pgbenchSelect),
            Entrant(label: threads, contestant: .threadsSelect),
        ],
        references: [pgbench, threads],
        targets: [
            .atLeast(0.9, "throughput", engine, of: pgbench),
            .atMost(1.5, "client CPU per query", engine, of: threads, \.cpuPerOperation),
        ])

    static func checkout(tasks: Int) -> Race {
        let uncontended = Target(sentence: "checkout and return on an idle pool under 300 ns on one task") {
            $0.median(engine, \.wallPerOperation) < 300
        } value: {
            "\(Int($0.median(engine, \.wallPerOperation))) ns"
        }
        return Race(
            name: "checkout",
            title:
                "Checkout and return, nothing sent: \(tasks) \(tasks == 1 ? "task" : "tasks that yield inside"), 8 connections",
            entrants: [
                Entrant(label: engine, contestant: .engineCheckout, clients: tasks),
                Entrant(label: bare, contestant: .bareCheckout, clients: tasks),
            ],
            references: [bare],
            unit: .cycles,
            targets: [tasks == 1 ? uncontended : .atMost(2, "wall time", engine, of: bare, \.wallPerOperation)])
    }

    /// Counted are the nine statements in ten that nobody cancels.
    static let cancellation = Race(
        name: "cancellation",
        title: "Cancellation storm: 64 tasks, 8 connections, one statement in ten cancelled; the others' throughput",
        entrants: [
            Entrant(label: calm, contestant: .calmLoad, clients: 64),
            Entrant(label: storm, contestant: .cancelledLoad, clients: 64),
        ],
        references: [calm],
        targets: [
            .atLeast(0.8, "the others' throughput", storm, of: calm),
            Target(sentence: "fewer reconnects than one in a hundred cancelled statements") {
                $0.median(storm) { Double($0.reconnects) } <= $0.median(storm) { Double($0.cancelled) } / 100
            } value: {
                let cancelled = Int($0.median(storm) { Double($0.cancelled) })
                return "\(Int($0.median(storm) { Double($0.reconnects) })) for \(cancelled) cancelled"
            },
        ])

    static func transaction(isNear: Bool) -> Race {
        Race(
            name: "transaction",
            title: "Unit of work BEGIN, SELECT, COMMIT, 8 connections, \(isNear ? "at hand" : "1 ms away")",
            entrants: [
                Entrant(label: engine, contestant: .engineTransaction),
                Entrant(label: plain, contestant: .plainTransaction),
                Entrant(label: pipelined, contestant: .pipelinedTransaction),
                Entrant(label: blocking, contestant: .blockingTransaction),
            ],
            references: [pipelined, blocking],
            targets: isNear
                ? [
                    .atLeast(0.9, "throughput", engine, of: pipelined),
                    .atMost(1.3, "client CPU", engine, of: pipelined, \.cpuPerOperation),
                ] : [.atLeast(1 / 1.1, "throughput", engine, of: pipelined)])
    }
}

extension Race {
    static let rows = Race(
        name: "rows", title: "\(Lines.count) rows of int8, text, float8, timestamptz",
        entrants: [
            Entrant(label: structs, contestant: .engineStructs),
            Entrant(label: tuples, contestant: .engineTuples),
            Entrant(label: stream, contestant: .engineStream),
            Entrant(label: whole, contestant: .wholeRows),
            Entrant(label: single, contestant: .singleRows),
        ],
        references: [whole, single], unit: .rows,
        targets: [
            .atLeast(0.85, "rows into structs", structs, of: whole),
            Target(sentence: "peak memory of a stream under 64 MiB") {
                $0.median(stream, \.peakMebibytes) < 64
            } value: {
                "\(Int($0.median(stream, \.peakMebibytes))) MiB"
            },
        ])

    static let copy = Race(
        name: "copy", title: "COPY of \(Lines.copied) rows of int8, text, float8 from memory",
        entrants: [
            Entrant(label: engine, contestant: .engineCopyIn), Entrant(label: psql, contestant: .psqlCopyIn),
        ],
        references: [psql], unit: .rows, targets: [.atLeast(1 / 1.2, "copyIn", engine, of: psql)])

    static let copyOut = Race(
        name: "copy", title: "COPY of \(Lines.copied) rows of int8, text, float8 into tuples",
        entrants: [
            Entrant(label: engine, contestant: .engineCopyOut), Entrant(label: psql, contestant: .psqlCopyOut),
        ],
        references: [psql], unit: .rows, targets: [.atLeast(1 / 1.2, "copyOut", engine, of: psql)])

    static let batch = Race(
        name: "batch", title: "\(Lines.inserted) inserts in one transaction",
        entrants: [
            Entrant(label: engine, contestant: .engineInserts),
            Entrant(label: pipeline, contestant: .pipelinedInserts),
        ],
        references: [pipeline], unit: .rows, targets: [.atLeast(0.9, "execute(batch:)", engine, of: pipeline)])
}

extension Race.Target {
    fileprivate static func atMost(
        _ times: Double, _ what: String, _ label: String, of reference: String,
        _ measure: @escaping @Sendable (Measurement) -> Double
    ) -> Self {
        Self(sentence: "\(what) at most \(times) × \(reference)") {
            $0.ratio(label, to: reference, measure) <= times
        } value: {
            $0.ratio(label, to: reference, measure).times
        }
    }

    fileprivate static func atLeast(_ share: Double, _ what: String, _ label: String, of reference: String) -> Self {
        Self(sentence: "\(what) at least \((share * 100).rounded() / 100) × \(reference)") {
            $0.ratio(label, to: reference, \.perSecond) >= share
        } value: {
            $0.ratio(label, to: reference, \.perSecond).times
        }
    }
}

extension Double {
    /// As a ratio: `1.25 ×`.
    var times: String { "\((self * 100).rounded() / 100) ×" }
}
