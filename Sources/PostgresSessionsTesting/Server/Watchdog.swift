#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
internal import PostgresWire
import Synchronization

/// A shell that outlives us by a moment. It reads from a pipe whose other end only this process holds; when that ends,
/// however this process died, it ends every process that was started for the folder, and removes the folder.
struct Watchdog: ~Copyable {
    private let leash: Int32
    private let shell: ChildProcess

    private static let script = """
        trap '' HUP INT TERM QUIT PIPE
        cd /
        read -r _
        send() { for file in "$1"/pids/*; do [ -e "$file" ] && kill "-$2" "${file##*/}" 2>/dev/null; done; }
        some() { for file in "$1"/pids/*; do [ -e "$file" ] && kill -0 "${file##*/}" 2>/dev/null && return 0; done; return 1; }
        send "$1" CONT
        send "$1" QUIT
        tries=0
        while some "$1" && [ $tries -lt 80 ]; do sleep 0.1; tries=$((tries + 1)); done
        send "$1" KILL
        tries=0
        while [ -e "$1" ] && [ $tries -lt 50 ]; do rm -rf -- "$1" || sleep 0.1; tries=$((tries + 1)); done
        """

    init(folder: String, user: ServerUser) throws(TestingError) {
        let (readEnd, writeEnd) = try ChildProcess.spawning.withLock { _ throws(TestingError) in try makePipe() }
        defer { _ = close(readEnd) }
        let command = user.command(["/bin/sh", "-c", Self.script, "postgres-sessions-watchdog", folder])
        do {
            shell = try ChildProcess(command, input: readEnd)
            leash = writeEnd
        } catch {
            _ = close(writeEnd)
            rmdir(folder)
            throw error
        }
    }

    /// A command that writes its process down for the watchdog before it becomes `arguments`; it ends at once when the
    /// folder is gone.
    static func leashed(_ arguments: [String], folder: String) -> [String] {
        ["/bin/sh", "-c", #": > "$0/pids/$$" || exit 125; exec "$@""#, folder] + arguments
    }

    /// Lets go, and returns the shell, whose end says that the folder is gone.
    consuming func letGo() -> ChildProcess { shell }

    deinit { _ = close(leash) }
}
