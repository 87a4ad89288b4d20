extension WireConnection {
    /// Whether a connection that its borrower calls clean may be lent on; it is parked then.
    package func parkIfUsable() -> Bool { !isBroken && park() }

    /// Whether anything can still be said on it.
    package var isUsable: Bool { !isBroken }
}
