import Foundation
import PostgresSessions
import PostgresSessionsTesting
import Testing

private struct Exhausted: Error {}

/// A file in pieces that end anywhere.
private func pieces(_ text: String, of size: Int) -> [ArraySlice<UInt8>] {
    let bytes = Array(text.utf8)
    return stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
}

private func withBooks(_ body: (Session) async throws -> Void) async throws {
    try await withShop { shop in
        try await shop.engine.execute("CREATE TABLE books (id int4 PRIMARY KEY, title text, price numeric)")
        try await shop.engine.withTransaction { session in try await body(session) }
    }
}

private func bytes(_ query: SQLQuery, _ format: CopyFormat, _ session: Session) async throws -> [UInt8] {
    var all: [UInt8] = []
    for try await piece in try await session.copyOut(query, format: format) { all += piece }
    return all
}

@Suite(.timeLimit(.minutes(30))) struct `A file` {
    private static let files: [(CopyFormat, String)] = [
        (.csv, "1,\"a, \"\"b\"\"\nc\",1.50\n2,,\n"), (.text, "1\ta\\tb\t1.50\n2\t\\N\t\\N\n"),
        (.csv(header: true, delimiter: ";"), "id;title;price\n1;a,b;1.50\n2;\"\";\n"),
        (.csv(header: false, delimiter: "'"), "1'a'1.50\n"),
    ]

    @Test(arguments: files) func `goes in and comes out as it was`(format: CopyFormat, text: String) async throws {
        try await withBooks { session in
            let written = try await session.copyIn("books", format: format, bytes: pieces(text, of: 3))
            let count = try await session.query("SELECT count(*) FROM books", as: Int.self).one()
            #expect(written == count && count > 0)
            let back = try await bytes("SELECT * FROM books ORDER BY id", format, session)
            #expect(String(decoding: back, as: UTF8.self) == text)
        }
    }

    @Test func `in binary goes from one table into another, as it comes`() async throws {
        try await withShop { shop in
            try await shop.engine.execute("CREATE TABLE numbers (a int8, b float8)")
            let numbers: SQLQuery = "SELECT i::int8, sqrt(i)::float8 FROM generate_series(1, 50000) i"
            try await shop.engine.withConnection { source in
                let file = try await source.copyOut(numbers, format: .binary)
                let written = try await shop.engine.withConnection { target in
                    try await target.copyIn("numbers", columns: ["a", "b"], format: .binary, bytes: file)
                }
                #expect(written == 50_000)
            }
            let sum = try await shop.engine.query("SELECT sum(a) FROM numbers", as: Int.self).one()
            #expect(sum == 50_000 * 50_001 / 2)
        }
    }

    @Test func `is refused by its line`() async throws {
        try await withBooks { session in
            for (text, parts) in [("1,a,1\n2,b,x\n", ["line 2", "price"]), ("1,a,1\n1,b,2\n", ["line 2"])] {
                let error = try await failure {
                    try await session.withSavepoint { session in
                        _ = try await session.copyIn("books", format: .csv, bytes: [Array(text.utf8)])
                    }
                }
                for part in parts { #expect("\(error)".contains(part), "\(error)") }
            }
            let count = try await session.query("SELECT count(*) FROM books", as: Int.self).one()
            #expect(count == 0)
        }
    }

    @Test func `is not copied where its source fails, and the transaction goes on from a savepoint`() async throws {
        try await withBooks { session in
            let source = AsyncThrowingStream<Data, any Error> { continuation in
                continuation.yield(Data("1,a,1\n".utf8))
                continuation.finish(throwing: Exhausted())
            }
            await #expect(throws: Exhausted.self) {
                try await session.withSavepoint { session in
                    _ = try await session.copyIn("books", format: .csv, bytes: source)
                }
            }
            let count = try await session.query("SELECT count(*) FROM books", as: Int.self).one()
            #expect(count == 0)
        }
    }

    @Test func `is left early, and the transaction goes on`() async throws {
        try await withBooks { session in
            try await session.execute("INSERT INTO books VALUES (1, 'kept')")
            for try await piece in try await session.copyOut("SELECT generate_series(1, 1000000)", format: .csv) {
                #expect(piece.starts(with: "1\n2\n".utf8) && piece.last == 10)
                break
            }
            let title = try await session.query("SELECT title FROM books", as: String.self).one()
            #expect(title == "kept")
        }
    }
}
