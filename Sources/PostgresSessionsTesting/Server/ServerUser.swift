#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
import Foundation

/// The user as whom the server runs: ourselves, or, for root, whom PostgreSQL refuses, `postgres` or `nobody`.
struct ServerUser: Sendable {
    private enum Change: Sendable {
        case none
        case setpriv(uid: uid_t, gid: gid_t)
        case su(name: String)
        case sudo(name: String)
    }

    private let change: Change
    private let owner: (uid: uid_t, gid: gid_t)?

    static func current() throws(TestingError) -> ServerUser {
        guard geteuid() == 0 else { return ServerUser(change: .none, owner: nil) }
        for name in ["postgres", "_postgres", "nobody"] {
            guard let entry = getpwnam(name)?.pointee, entry.pw_uid != 0 else { continue }
            let owner = (uid: entry.pw_uid, gid: entry.pw_gid)
            let changes: [Change] = [.setpriv(uid: owner.uid, gid: owner.gid), .su(name: name), .sudo(name: name)]
            for change in changes {
                let user = ServerUser(change: change, owner: owner)
                if let id = try? ChildProcess.run(user.command(["id", "-u"])),
                    id.trimmingCharacters(in: .whitespacesAndNewlines) == "\(owner.uid)"
                {
                    return user
                }
            }
        }
        throw .cannotLeaveRoot("setpriv, su and sudo all failed for the users postgres and nobody")
    }

    /// The command that runs another one as this user.
    func command(_ arguments: [String]) -> [String] {
        switch change {
        case .none:
            arguments
        case .setpriv(let uid, let gid):
            ["setpriv", "--reuid=\(uid)", "--regid=\(gid)", "--clear-groups", "--"] + arguments
        case .su(let name):
            ["su", "-s", "/bin/sh", name, "-c", arguments.map(Self.quoted).joined(separator: " ")]
        case .sudo(let name):
            ["sudo", "-n", "-u", name, "--"] + arguments
        }
    }

    /// Makes a new folder that is this user's and closed to others.
    func makeFolder() throws(TestingError) -> String {
        var template = Array("\(reachableTemporaryFolder())/postgres-sessions-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .systemCall("mkdtemp", errno) }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if let owner, chown(folder, owner.uid, owner.gid) != 0 {
            let number = errno
            rmdir(folder)
            throw .systemCall("chown", number)
        }
        return folder
    }

    /// The temporary folder, unless another user has to reach it and cannot.
    private func reachableTemporaryFolder() -> String {
        let usual = FileManager.default.temporaryDirectory.standardizedFileURL.path
        guard owner != nil else { return usual }
        var path = ""
        for part in usual.split(separator: "/") {
            path += "/\(part)"
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IXOTH != 0 else { return "/tmp" }
        }
        return usual
    }

    private static func quoted(_ argument: String) -> String {
        "'" + argument.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
