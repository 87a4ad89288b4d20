/// One physical connection, from the decision to open it until its socket is gone.
package struct ConnectionID: Hashable, Sendable {
    /// A small index, reused by later connections, for the shell's arrays.
    package let slot: Int
    /// Never reused: an event about an earlier connection in the same slot is recognised and ignored.
    package let serial: UInt64

    package init(slot: Int, serial: UInt64) {
        self.slot = slot
        self.serial = serial
    }
}

/// One borrowing of one connection. Returning it twice, or after the connection was replaced, changes nothing (P5).
package struct LeaseID: Hashable, Sendable {
    package let connection: ConnectionID
    package let number: UInt64

    package init(connection: ConnectionID, number: UInt64) {
        self.connection = connection
        self.number = number
    }
}

/// One request for a connection. The shell chooses the value and never uses it twice.
package struct WaiterID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}
