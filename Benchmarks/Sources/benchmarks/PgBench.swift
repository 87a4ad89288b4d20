import Foundation

/// PostgreSQL's own benchmark, from beside the server's binaries.
enum PgBench {
    static func measure(_ task: EngineContestant) throws -> Measurement {
        let program = try find("pgbench")
        let arguments = [
            "-n", "-S", "-M", "prepared", "-c", "\(task.connections)", "-j", "2",
            "-T", "\(max(1, Int(task.seconds.rounded())))", task.url,
        ]
        let cpu = Stopwatch.cpuNanoseconds(children: true)
        let output = try ChildProgram.run(program, arguments)
        let used = Stopwatch.cpuNanoseconds(children: true) - cpu
        guard let operations = number(after: "transactions actually processed: ", in: output),
            let perSecond = number(after: "tps = ", in: output), perSecond > 0
        else { throw BenchmarkError("pgbench said: \(output)") }
        return Measurement(
            operations: Int(operations), wallNanoseconds: operations / perSecond * 1e9, cpuNanoseconds: used)
    }

    private static func number(after label: String, in text: String) -> Double? {
        guard let range = text.range(of: label) else { return nil }
        return Double(text[range.upperBound...].prefix { $0.isNumber || $0 == "." })
    }

    /// In `PATH`, where `pg_config` points, or where packages put the server; the highest version first.
    static func find(_ name: String) throws -> String {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
            .split(separator: ":").map(String.init)
        let versioned = ["/usr/lib/postgresql": "", "/usr": "pgsql-", "/opt/homebrew/opt": "postgresql"]
            .flatMap { parent, prefix in
                let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
                return names.filter { $0.hasPrefix(prefix) }.map { "\(parent)/\($0)/bin" }
            }
        let candidates = versioned.sorted { $0.compare($1, options: .numeric) == .orderedDescending } + path
        guard
            let found = candidates.map({ "\($0)/\(name)" }).first(where: FileManager.default.isExecutableFile)
        else { throw BenchmarkError("\(name) was not found") }
        return found
    }
}

/// A child process that is waited for.
enum ChildProgram {
    /// Its standard output; its diagnostics go to ours. Throws if it fails.
    static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        if program.hasSuffix("pgbench") { process.standardError = FileHandle.nullDevice }
        try runWithSignals(process)
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let name = URL(fileURLWithPath: program).lastPathComponent
        guard process.terminationStatus == 0 else {
            throw BenchmarkError("\(name) failed with status \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Swift's pool threads block every signal and children inherit that; pgbench needs SIGALRM to know when to stop.
    private static func runWithSignals(_ process: Process) throws {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }
}
