import Dispatch
import PostgresSessions
import Synchronization
import Testing

/// An actor whose jobs run on a queue of its own, so that anything can find out whether it runs there.
private actor Desk {
    private final class Queue: SerialExecutor {
        static let mark = DispatchSpecificKey<Bool>()
        private let queue = DispatchQueue(label: "desk")

        init() { queue.setSpecific(key: Self.mark, value: true) }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }
    }

    private static let strayed = Atomic<Int>(0)
    private let queue = Queue()
    private let engine: Engine

    nonisolated var unownedExecutor: UnownedSerialExecutor { queue.asUnownedSerialExecutor() }
    /// How often something ran elsewhere.
    var strayed: Int { Self.strayed.load(ordering: .relaxed) }

    init(_ engine: Engine) { self.engine = engine }

    nonisolated static func check() {
        if DispatchQueue.getSpecific(key: Queue.mark) == nil { strayed.add(1, ordering: .relaxed) }
    }

    func insert() async throws {
        let make: @Sendable (Int) -> SQLQuery = { id in
            Self.check()
            return "INSERT INTO items VALUES (\(id), 'cup')"
        }
        try await engine.withTransaction { session in
            try await session.execute(batch: (0..<1_000).lazy.map(make))
            try await session.execute(batch: (1_000..<9_000).lazy.map(make))
            try await session.copyIn("items", columns: ["id", "name"], rows: [Key(id: 9_000)].lazy.map { ($0, "cup") })
        }
    }

    func read() async throws {
        let query: SQLQuery = "SELECT id FROM generate_series(1, 20000) AS id"
        for _ in 0..<3 { _ = try await engine.query(query, as: Line.self).all() }
        try await engine.withTransaction { session in
            for try await line in session.query(query, as: Line.self).stream() where line.id < 0 { break }
            for try await line in try await session.copyOut(query, as: Line.self) where line.id < 0 { break }
        }
    }

    private struct Key: SQLEncodable {
        var id: Int
        static var sqlType: SQLType { .int8 }
        func encode(into buffer: inout SQLEncodingBuffer) throws {
            Desk.check()
            try id.encode(into: &buffer)
        }
    }

    private struct Line: Decodable {
        var id: Int
        private enum CodingKeys: CodingKey { case id }

        init(from decoder: any Decoder) throws {
            Desk.check()
            id = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .id)
        }
    }
}

/// A closure that is written on an actor uses its state, and traps elsewhere; so does a conformance that is isolated to one.
@Suite(.serialized, .timeLimit(.minutes(30))) struct `On an actor` {
    @Test func `a batch's statements are made there`() async throws {
        try await withShop { shop in
            let desk = Desk(shop.engine)
            let before = await desk.strayed
            try await desk.insert()
            #expect(await desk.strayed == before)
            #expect(try await shop.itemCount() == 9_001)
        }
    }

    @Test func `rows are decoded there, however many they are`() async throws {
        try await withShop { shop in
            let desk = Desk(shop.engine)
            let before = await desk.strayed
            try await desk.read()
            #expect(await desk.strayed == before)
        }
    }
}
