/// The five characters with which PostgreSQL says what kind of error this is: `23505`, `.uniqueViolation`.
///
/// Unknown codes are kept as they came. Compare with a constant or with a literal: `error.sqlState == "23505"`.
public struct SQLState: RawRepresentable, Hashable, Sendable {
    /// The code, five characters of digits and upper-case letters when it comes from a server.
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ code: String) { self.rawValue = code }

    /// The first two characters: the class of the condition, `23` for every integrity violation.
    public var classCode: String { String(rawValue.prefix(2)) }
}

extension SQLState: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self.rawValue = value }
}

extension SQLState: CustomStringConvertible {
    public var description: String { rawValue }
}

// MARK: - Classes

extension SQLState {
    /// Class 08: the connection failed, or could not be made.
    public var isConnectionException: Bool { rawValue.hasPrefix("08") }
    /// Class 22: a value does not fit where it should go.
    public var isDataException: Bool { rawValue.hasPrefix("22") }
    /// Class 23: a constraint refused the row.
    public var isIntegrityConstraintViolation: Bool { rawValue.hasPrefix("23") }
    /// Class 28: the server did not accept who is asking.
    public var isInvalidAuthorization: Bool { rawValue.hasPrefix("28") }
    /// Class 40: the server rolled the transaction back; most often it may be run again.
    public var isTransactionRollback: Bool { rawValue.hasPrefix("40") }
    /// Class 42: the statement is wrong, or not allowed.
    public var isSyntaxErrorOrAccessRuleViolation: Bool { rawValue.hasPrefix("42") }
    /// Class 53: the server has run out of something; it may have it again later.
    public var isInsufficientResources: Bool { rawValue.hasPrefix("53") }
    /// Class 57: an operator, or a limit, intervened.
    public var isOperatorIntervention: Bool { rawValue.hasPrefix("57") }

    /// Two transactions were in each other's way: the whole transaction may be tried again.
    ///
    /// True for `serializationFailure` (40001) and `deadlockDetected` (40P01).
    public var isConflict: Bool { self == .serializationFailure || self == .deadlockDetected }
}
