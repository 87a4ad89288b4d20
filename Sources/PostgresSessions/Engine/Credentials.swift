/// Who connects. An engine's `credentials` closure is asked at each connect, so that passwords may rotate.
public struct Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    public var user: String
    public var password: String?

    public init(user: String, password: String?) {
        self.user = user
        self.password = password
    }

    /// Never the password.
    public var description: String { "Credentials(user: \(user))" }
    public var customMirror: Mirror { Mirror(self, children: ["user": user]) }
}
