import Foundation

/// A folder that holds `initdb` and `postgres`.
struct PostgresInstallation: Sendable, Hashable {
    let folder: String

    var initdb: String { folder + "/initdb" }
    var postgres: String { folder + "/postgres" }

    /// Looks in the given folder only, or in `PATH`, where `pg_config` points, and where packages put the server: the
    /// highest version first.
    static func find(in given: String?, environment: [String: String]) throws(TestingError) -> PostgresInstallation {
        let path = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":").map(String.init)
        let searched = given.map { [$0] } ?? path + configuredFolder(path: path) + packageFolders()
        guard let folder = searched.first(where: holdsServer) else { throw .postgresNotFound(searched: searched) }
        return PostgresInstallation(folder: folder)
    }

    private static func holdsServer(_ folder: String) -> Bool {
        ["initdb", "postgres"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)") }
    }

    private static func configuredFolder(path: [String]) -> [String] {
        let candidates = path.map { $0 + "/pg_config" }
        guard let program = candidates.first(where: FileManager.default.isExecutableFile) else { return [] }
        let result = try? ChildProcess.run([program, "--bindir"])
        return result.map { [$0.trimmingCharacters(in: .whitespacesAndNewlines)] } ?? []
    }

    private static func packageFolders() -> [String] {
        let patterns = [
            ("/usr/lib/postgresql", "", "/bin"),  // Debian, Ubuntu
            ("/usr", "pgsql-", "/bin"),  // PGDG on Fedora, RHEL
            ("/usr/libexec", "postgresql", ""),  // Alpine
            ("/opt/homebrew/opt", "postgresql", "/bin"),
            ("/usr/local/opt", "postgresql", "/bin"),
            ("/Applications/Postgres.app/Contents/Versions", "", "/bin"),
        ]
        let versioned = patterns.flatMap { parent, prefix, suffix in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
            return names.filter { $0.hasPrefix(prefix) }.sorted { version(of: $0) > version(of: $1) }
                .map { "\(parent)/\($0)\(suffix)" }
        }
        return versioned + ["/usr/local/pgsql/bin"]
    }

    private static func version(of name: String) -> Int {
        Int(name.drop { !$0.isNumber }.prefix { $0.isNumber }) ?? 0
    }
}
