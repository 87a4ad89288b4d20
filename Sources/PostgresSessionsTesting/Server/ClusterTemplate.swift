#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
internal import PostgresWire
import Synchronization

/// The first cluster of this process, as an archive in a file without a name: later ones are unpacked from it, which
/// takes a fraction of `initdb`'s time, and nothing is left behind when the process ends.
enum ClusterTemplate {
    /// Descriptors of the archives. Locked while one is read, since the reader moves the descriptor's position.
    private static let archives = Mutex<[PostgresInstallation: Int32]>([:])

    /// Unpacks the archive into a cluster's folder; false when there is none yet.
    static func restore(_ installation: PostgresInstallation, to folder: String, user: ServerUser) throws -> Bool {
        try archives.withLock { archives in
            guard let archive = archives[installation] else { return false }
            lseek(archive, 0, SEEK_SET)
            let unpack = Watchdog.leashed(["tar", "-xpf", "-", "-C", folder], folder: folder)
            try ChildProcess.run(user.command(unpack), input: archive, name: "tar")
            return true
        }
    }

    /// Keeps a cluster that has never been started. Without `tar` nothing is kept.
    static func save(_ installation: PostgresInstallation, from folder: String, user: ServerUser) {
        archives.withLock { archives in
            guard archives[installation] == nil else { return }
            let file = folder + "/template"
            let pack = Watchdog.leashed(["tar", "-cf", file, "-C", folder, "data"], folder: folder)
            defer { unlink(file) }
            guard (try? ChildProcess.run(user.command(pack), name: "tar")) != nil else { return }
            let archive = open(file, O_RDONLY | O_CLOEXEC)
            if archive >= 0 { archives[installation] = archive }
        }
    }
}
