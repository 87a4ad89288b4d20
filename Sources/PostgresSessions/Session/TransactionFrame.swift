/// The words with which a session's transaction begins and ends on its connection.
enum TransactionFrame {
    /// BEGIN, COMMIT, ROLLBACK.
    case own
    /// A savepoint in a transaction that was open before.
    case savepoint(String)
    /// The transaction that was open before, or its innermost savepoint, which the session ends.
    case outer(savepoint: String?)
    /// The same, which the session may roll back and does not commit.
    case borrowed(savepoint: String?)

    /// In a sandbox a session's transaction is a savepoint of the one that is never committed.
    static let sandbox = TransactionFrame.savepoint("sandbox_session")
    static let joined = TransactionFrame.savepoint("joined_session")

    /// The savepoint that is the transaction's beginning; nil: it is a whole one.
    var savepoint: String? {
        switch self {
        case .own: nil
        case .savepoint(let name): name
        case .outer(let name), .borrowed(let name): name
        }
    }

    /// What opens it; nothing where it is open.
    func opening(_ characteristics: TransactionCharacteristics) -> [SQLQuery] {
        switch self {
        case .own: characteristics.opening
        case .savepoint(let name): ["SAVEPOINT \(unsafeRaw: name)"]
        case .outer, .borrowed: []
        }
    }

    /// nil: nothing is said, and what was open before goes on.
    var commit: SQLQuery? {
        switch self {
        case .own, .outer(savepoint: nil): Self.commitCommand
        case .savepoint(let name), .outer(savepoint: let name?): "RELEASE SAVEPOINT \(unsafeRaw: name)"
        case .borrowed: nil
        }
    }

    var commitTag: StaticString { savepoint == nil ? "COMMIT" : "RELEASE" }

    /// COMMIT is its end, after which nothing can undo it.
    var isWhole: Bool {
        switch self {
        case .own, .outer(savepoint: nil): true
        default: false
        }
    }

    /// Undoing it undoes nobody else's work.
    var isOwn: Bool {
        switch self {
        case .own, .savepoint: true
        case .outer, .borrowed: false
        }
    }

    private static let commitCommand: SQLQuery = "COMMIT"

    /// Undoes everything since the savepoint, and the savepoint.
    static func undo(_ savepoint: String) -> [SQLQuery] {
        ["ROLLBACK TO SAVEPOINT \(unsafeRaw: savepoint)", "RELEASE SAVEPOINT \(unsafeRaw: savepoint)"]
    }
}
