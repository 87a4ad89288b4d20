import PostgresSessions
import PostgresSessionsTesting
import Testing

private struct Home: Codable, Equatable, SQLDecodable {
    var street: String
    var number: Int
    var moods: [String?]
}

private let definitions: [SQLQuery] = [
    "CREATE TYPE mood AS ENUM ('happy', 'a \"b\", c', '')", "CREATE DOMAIN count AS int4",
    "CREATE DOMAIN positive AS count CHECK (VALUE > 0)",
    "CREATE TYPE home AS (street citext, number positive, moods mood[])", "CREATE DOMAIN homes AS home[]",
    "CREATE TYPE street AS (name text, homes homes)", "CREATE TYPE span AS RANGE (subtype = positive)",
    "CREATE TYPE paces AS RANGE (subtype = float8)",
]

/// A database with types of its own, and the extensions that come with the server.
private func withTypes(
    server: TemporaryPostgres? = nil, behindProxy: Bool = false, statementCacheSize: Int = 256,
    _ body: (Shop) async throws -> Void
) async throws {
    try await Extensions.areMade.value
    try await withShop(
        PoolOptions(size: 2, maxOverflow: 0), statementCacheSize: statementCacheSize, behindProxy: behindProxy
    ) { shop in
        for definition in definitions { try await shop.witness.execute(definition) }
        try await body(shop)
    }
}

private let numbers: SQLQuery = "SELECT ARRAY[1, NULL, 825373492]::positive[]"

@Suite(.timeLimit(.minutes(30))) struct `A type that a database defines for itself` {
    @Test(arguments: [
        "ARRAY[[1, 2], [NULL, 825373492]]::positive[]", "'[-1:0]={1,2}'::positive[]", "'[1,825373492)'::span",
        "'{[1,2),[5,9)}'::span_multirange", "'[1.5,)'::paces", "ARRAY['[1,2)', 'empty', NULL]::span[]",
        "ROW('Ä b', 825373492, ARRAY['happy', 'a \"b\", c', '', NULL]::mood[])::home",
        "ARRAY[ROW('x', 1, '{}')::home, NULL]::homes",
        "ARRAY[ROW('a', ARRAY[ROW('x', 1, NULL)::home]::homes)::street, ROW(NULL, NULL)::street]",
        "ROW(1::positive, ROW('happy'::mood, 'X'::citext), ARRAY[2]::positive[])",
        "ARRAY[ROW(1::positive, true), NULL]", "'1.2'::text::citext", "ARRAY['a,b'::citext]",
        "'a=>1, \"b c\"=>NULL'::hstore", "ARRAY['a=>\"1\"'::hstore, '', NULL]", "'a.b.c'::ltree",
        "ARRAY['a.b'::ltree, NULL]", "'a.*{1}'::lquery", "'a & b*'::ltxtquery", "'(1,2),(3,4.5)'::cube",
        "ARRAY['(1)'::cube, '()']", "'978-0-393-04002-9'::isbn13", "'1 .. 2'::seg", "'a \"b\", c'::mood",
        "(SELECT array_agg(n.c ORDER BY n.c) FROM (VALUES (7::information_schema.cardinal_number), (8)) AS n(c))",
        "(SELECT b FROM pg_stats AS s, LATERAL (SELECT s.histogram_bounds) AS x(b) WHERE false)",
        "(SELECT r FROM (SELECT 1::positive AS a, 'happy'::mood AS b) AS r)",
    ])
    func `is shown as the server shows it`(expression: String) async throws {
        try await withTypes { shop in
            let query: SQLQuery = "SELECT v, v::text FROM (SELECT \(unsafeRaw: expression) AS v) AS one"
            for _ in 0..<2 {
                let (own, server) = try await shop.engine.query(query, as: (String?, String?).self).one()
                #expect(own == server)
                let rows = try await shop.engine.query(query, as: (String?, String?).self).all()
                #expect(rows.allSatisfy { $0.0 == $0.1 } && rows.count == 1)
                let text = try await shop.engine.query(
                    "SELECT v, v::text, 'postgres=r/postgres'::aclitem FROM (SELECT \(unsafeRaw: expression) AS v) AS one",
                    as: (String?, String?, String).self
                ).one()
                #expect(text.0 == text.1)
            }
        }
    }

    @Test func `is decoded in everything that is made of it`() async throws {
        try await withTypes { shop in
            let engine = shop.engine
            let home: SQLQuery = "ROW('x', 825373492, ARRAY['happy', NULL]::mood[])::home"
            let expected = Home(street: "x", number: 825_373_492, moods: ["happy", nil])
            #expect(try await engine.query(numbers, as: [Int?].self).one() == [1, nil, 825_373_492])
            #expect(try await engine.query("SELECT \(home)", as: Home.self).one() == expected)
            let text: SQLQuery = "SELECT \(home), ARRAY[\(home)], '[1,5)'::span, 'postgres=r/postgres'::aclitem"
            let (alone, several, reach, _) = try await engine.query(
                text, as: (Home, [Home], SQLRange<Int>, String).self
            ).one()
            #expect(alone == expected && several == [expected] && reach == SQLRange(1..<5))
            let homes = try await engine.query("SELECT ARRAY[\(home), NULL]::homes", as: [Home?].self).one()
            #expect(homes == [expected, nil])
            let span = try await engine.query("SELECT '[1,825373492)'::span", as: SQLRange<Int>.self).one()
            #expect(span == SQLRange(1..<825_373_492))
            let spans = try await engine.query("SELECT '{[1,2)}'::span_multirange", as: SQLMultirange<Int>.self).one()
            #expect(spans.ranges == [SQLRange(1..<2)])
            let store = try await engine.query("SELECT ARRAY['a=>1'::hstore]", as: [SQLHStore].self).one()
            #expect(store.first?["a"] == "1")
            let row = try await engine.query("SELECT 7::positive AS n, \(home) AS h").one()
            #expect(try row["n", as: Int.self] == 7 && row["h", as: Home.self] == expected)
        }
    }

    @Test func `costs a round trip when it is first seen, and nothing afterwards`() async throws {
        try await withTypes(behindProxy: true) { shop in
            let proxy = try shop.proxy
            func flights(_ work: () async throws -> Void) async throws -> Int {
                let before = proxy.flights
                try await work()
                return proxy.flights - before
            }
            try await shop.engine.warmUp()
            let costs = [
                try await flights { _ = try await shop.engine.query(numbers, as: [Int?].self).one() },
                try await flights { _ = try await shop.engine.query(numbers, as: [Int?].self).one() },
                try await flights {
                    try await shop.engine.withTransaction { one in
                        _ = try await one.query(numbers, as: [Int?].self).all()
                        // Another connection, which asks nothing.
                        _ = try await shop.engine.query("SELECT '{3}'::positive[], 4::positive", as: ([Int], Int).self)
                            .one()
                    }
                },
                try await flights { _ = try await shop.engine.query("SELECT 'happy'::mood", as: String.self).one() },
            ]
            #expect(costs[0...1] == [2, 1] && costs[3] == 2)
            #expect(costs[2] <= 7)  // BEGIN with the first, COMMIT, and what a new connection costs
        }
    }

    @Test(arguments: [256, 0]) func `is first met in a transaction, a pipeline, a stream or a COPY`(cache: Int)
        async throws
    {
        try await withTypes(statementCacheSize: cache) { shop in
            let many: SQLQuery = "SELECT ARRAY[n]::positive[], 'happy'::mood FROM generate_series(1, 3000) AS n"
            try await shop.engine.withTransaction { session in
                let (one, two) = try await session.pipeline(
                    session.query(numbers, as: [Int?].self), session.query("SELECT 1", as: Int.self))
                #expect(one == [[1, nil, 825_373_492]] && two == [1])
            }
            let homes: SQLQuery = "SELECT ROW('x', n, '{happy}')::home FROM generate_series(1, 3000) AS n"
            let rows = try await shop.engine.query(homes, as: Home.self).all()
            #expect(rows.map(\.number) == Array(1...3000))
            shop.engine.invalidate()
            try await shop.engine.withTransaction { session in
                var count = 0
                for try await (list, mood) in session.query(many, as: ([Int], String).self).stream() {
                    count += 1
                    #expect(list == [count] && mood == "happy")
                }
                #expect(count == 3000)
            }
            shop.engine.invalidate()
            try await shop.engine.withTransaction { session in
                var count = 0
                for try await home in try await session.copyOut(homes, as: Home.self) {
                    count += 1
                    #expect(home.number == count)
                }
                #expect(count == 3000)
            }
        }
    }

    @Test func `is learned anew where it was made or altered anew`() async throws {
        try await withTypes { shop in
            func pair() async throws -> String {
                try await shop.engine.query("SELECT ARRAY[ROW('1', 2)::pair]", as: String.self).one()
            }
            try await shop.witness.execute("CREATE TYPE pair AS (a text, b int4)")
            #expect(try await pair() == "{\"(1,2)\"}")
            try await shop.witness.execute("DROP TYPE pair")
            try await shop.witness.execute("CREATE TYPE pair AS (a int4, b positive)")
            #expect(try await pair() == "{\"(1,2)\"}")
            try await shop.witness.execute("CREATE DOMAIN late AS int4")
            try await shop.engine.execute("ALTER TYPE pair ADD ATTRIBUTE c late")
            let rows = try await shop.engine.query("SELECT ARRAY[ROW(1, 2, 3)::pair] AS v", as: String.self).all()
            #expect(rows == ["{\"(1,2,3)\"}"])
            // What somebody else alters shows in the first value.
            try await shop.witness.execute("CREATE DOMAIN later AS int4")
            try await shop.witness.execute("ALTER TYPE pair ADD ATTRIBUTE d later")
            func quadruple() async throws -> String {
                try await shop.engine.query("SELECT ARRAY[ROW(1, 2, 3, 4)::pair] AS w", as: String.self).one()
            }
            #expect(await outcome { try await quadruple() } == .decoding)
            #expect(try await quadruple() == "{\"(1,2,3,4)\"}")
        }
    }

    @Test func `does not decode where the server does not say what it is, and the transaction goes on`() async throws {
        let server = try await TemporaryPostgres.start()
        do {
            let owner = try Engine(url: server.url)
            for statement: SQLQuery in [
                "CREATE DOMAIN positive AS int4", "CREATE ROLE clerk LOGIN", "REVOKE SELECT ON pg_range FROM PUBLIC",
            ] { try await owner.execute(statement) }
            let engine = try Engine(url: server.url(parameters: ["user": "clerk"]))
            try await engine.withTransaction { session in
                let error = try await failure { try await session.query(numbers, as: [Int?].self).one() }
                #expect(Outcome(error) == .decoding)
                for part in ["column \"array\"", "cast"] { #expect("\(error)".contains(part), "\(error)") }
                #expect(try await session.query("SELECT 1", as: Int.self).one() == 1)
            }
            await engine.shutdown()
            await owner.shutdown()
        }
        await server.stop()
    }
}

/// Extensions belong to the database, which the shops share: they are made once, where every shop finds them.
enum Extensions {
    static let areMade = Task {
        let engine = try Engine(url: try await SharedServer.get().url)
        for name in ["citext", "hstore", "ltree", "cube", "isn", "seg"] {
            try await engine.execute(
                "CREATE EXTENSION IF NOT EXISTS \(identifier: name) SCHEMA pg_catalog")
        }
        await engine.shutdown()
    }
}
