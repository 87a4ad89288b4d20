#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
internal import PostgresWire
import Foundation
import Synchronization

/// A child process in a process group of its own (a terminal's Ctrl-C does not reach it), with the default signal
/// handling, and with no descriptor of ours but the three that it is given. It never stays behind as a zombie, over which
/// others who wait for their children would stumble. All of it blocks: not for async code.
final class ChildProcess: Sendable {
    let pid: pid_t
    private let reaped = Mutex<Int32?>(nil)  // its wait status

    /// Only what a server needs, so that no `PG…` variable of the tests reaches it.
    private static let environment: [String] = {
        let own = ProcessInfo.processInfo.environment
        let kept = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"]
        return ["LC_ALL=C"] + kept.compactMap { name in own[name].map { "\(name)=\($0)" } }
    }()

    /// Held while descriptors that no child may inherit are made, and while a child is.
    static let spawning = Mutex(())

    /// - Parameters:
    ///   - input: a descriptor for its standard input; nil is the null device.
    ///   - output: the file to which its output and errors are appended.
    init(_ arguments: [String], input: Int32? = nil, output: String = "/dev/null") throws(TestingError) {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #else
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        #if !canImport(Darwin)
            if let closeFrom { _ = closeFrom(&actions, 3) }
        #endif

        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        for signal in [SIGKILL, SIGSTOP] { sigdelset(&all, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        var flags = Int32(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
        #if canImport(Darwin)
            flags |= POSIX_SPAWN_CLOEXEC_DEFAULT
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var child: pid_t = 0
        let result = Self.spawning.withLock { _ in
            withCStrings(arguments) { arguments in
                withCStrings(Self.environment) {
                    posix_spawnp(&child, arguments[0]!, &actions, &attributes, arguments, $0)
                }
            }
        }
        guard result == 0 else { throw .systemCall("starting \(arguments[0])", result) }
        pid = child
        let thread = Thread { [self] in reap() }
        thread.stackSize = 128 * 1024
        thread.start()
    }

    private func reap() {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        reaped.withLock { $0 = status }
    }

    var hasEnded: Bool { reaped.withLock { $0 != nil } }

    /// The exit status, or 128 and the signal, as a shell would say it; 0 while it runs.
    var exitStatus: Int32 {
        let status = reaped.withLock { $0 ?? 0 }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// Waits for its end, at most until the monotonic time given.
    @discardableResult
    func waitForEnd(until deadline: Int64) -> Bool {
        var pause: UInt32 = 200
        while !hasEnded {
            if monotonicNanoseconds() > deadline { return false }
            usleep(pause)
            pause = min(pause * 2, 5_000)
        }
        return true
    }

    /// Runs a program to its end and returns what it printed; another status than 0 is an error.
    @discardableResult
    static func run(_ arguments: [String], input: Int32? = nil, name: String? = nil) throws(TestingError) -> String {
        var template = Array(
            "\(FileManager.default.temporaryDirectory.path)/postgres-sessions-output-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw .systemCall("mkstemp", errno) }
        defer { _ = close(file) }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The output's file has no name once the child has opened it, so nothing can be left behind.
        let child: ChildProcess
        do {
            defer { unlink(path) }
            child = try ChildProcess(arguments, input: input, output: path)
        }
        child.waitForEnd(until: .max)
        let output = contents(of: file)
        guard child.exitStatus == 0 else {
            throw .commandFailed(command: name ?? arguments[0], status: child.exitStatus, output: output)
        }
        return output
    }

    private static func contents(of file: Int32) -> String {
        lseek(file, 0, SEEK_SET)
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = read(file, &piece, piece.count), count > 0 { bytes += piece[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}

#if !canImport(Darwin)
    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// Closes what others forgot to mark; the C library has it from glibc 2.34 on.
    private let closeFrom: CloseFrom? = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
        .map { unsafeBitCast($0, to: CloseFrom.self) }
#endif

private func withCStrings<R>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
