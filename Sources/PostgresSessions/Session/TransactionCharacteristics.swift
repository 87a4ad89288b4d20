/// What BEGIN says.
struct TransactionCharacteristics: Sendable {
    var isolationLevel: IsolationLevel?
    var accessMode: AccessMode?
    var deferrable = false

    func over(_ options: SessionOptions) -> TransactionCharacteristics {
        TransactionCharacteristics(
            isolationLevel: isolationLevel ?? options.isolationLevel, accessMode: accessMode ?? options.accessMode,
            deferrable: deferrable)
    }

    /// Nothing is asked for.
    var isPlain: Bool { isolationLevel == nil && accessMode == nil && !deferrable }

    /// The opening of a transaction: BEGIN.
    var opening: [SQLQuery] {
        guard !isPlain else { return Self.plainOpening }
        var modes: [String] = []
        if let isolationLevel { modes.append("ISOLATION LEVEL \(isolationLevel.rawValue)") }
        if let accessMode { modes.append(accessMode.rawValue) }
        if deferrable { modes.append("DEFERRABLE") }
        return ["BEGIN \(unsafeRaw: modes.joined(separator: ", "))"]
    }

    private static let plainOpening: [SQLQuery] = ["BEGIN"]
}
