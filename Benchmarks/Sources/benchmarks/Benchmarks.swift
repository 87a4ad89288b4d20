import Foundation
import PostgresSessions
import PostgresSessionsTesting

/// The library beside what a careful C programmer writes on libpq, and beside pgbench, in one run.
///
/// `DATABASE_URL` names the server; without it a throw-away one is started.
@main
struct Benchmarks {
    static let usage = """
        usage: benchmarks [--rounds N] [--seconds S] [--check]
                          [--only select|checkout|transaction|cancellation|rows|copy|batch]…
          --check   exit with status 2 when a target is missed
        """

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            if arguments.first == "contestant" {
                print(try await contestant(arguments).line)
            } else {
                try await run(arguments)
            }
        } catch {
            FileHandle.standardError.write(Data("benchmarks: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ arguments: [String]) async throws {
        var runner = Runner()
        var mustMeetTargets = false
        var rest = arguments[...]
        while let option = rest.popFirst() {
            switch option {
            case "--rounds": runner.rounds = max(1, Int(rest.popFirst() ?? "") ?? runner.rounds)
            case "--seconds": runner.seconds = Double(rest.popFirst() ?? "") ?? runner.seconds
            case "--only": runner.only.insert(rest.popFirst() ?? "")
            case "--check": mustMeetTargets = true
            default: throw BenchmarkError(usage)
            }
        }
        let isGood = try await withServer { url in try await runner.run(url: url) }
        if mustMeetTargets && !isGood { exit(2) }
    }

    private static func withServer(_ body: (String) async throws -> Bool) async throws -> Bool {
        if let url = ProcessInfo.processInfo.environment["DATABASE_URL"], !url.isEmpty { return try await body(url) }
        print("DATABASE_URL is not set: starting a throw-away server.")
        let server = try await TemporaryPostgres.start(settings: ["shared_buffers": "512MB"])
        do {
            let result = try await body(server.url)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    /// `contestant NAME URL CLIENTS CONNECTIONS ACCOUNTS SECONDS`: how the runner calls itself.
    private static func contestant(_ arguments: [String]) async throws -> Measurement {
        guard arguments.count == 7, let contestant = Contestant(rawValue: arguments[1]),
            let clients = Int(arguments[3]), let connections = Int(arguments[4]), let accounts = Int(arguments[5]),
            let seconds = Double(arguments[6])
        else { throw BenchmarkError("usage: contestant NAME URL CLIENTS CONNECTIONS ACCOUNTS SECONDS") }
        return try await contestant.measure(
            EngineContestant(
                url: arguments[2], clients: clients, connections: connections, accounts: accounts, seconds: seconds))
    }
}
