internal import PoolCore
internal import PostgresWire

/// What the pool says of a connection that it lends.
struct Loan {
    let id: LeaseID
    /// It was idle for so long that its peer may be gone without a word: its first flight shall prove otherwise.
    let isDoubtful: Bool
}

/// A borrowed connection, and the right to use it until it is given back, exactly once.
struct Lease: Sendable {
    private let loan: Loan
    let connection: PhysicalConnection

    init(_ loan: Loan, _ connection: PhysicalConnection) {
        (self.loan, self.connection) = (loan, connection)
    }

    var id: LeaseID { loan.id }
    var isDoubtful: Bool { loan.isDoubtful }
    var wire: WireConnection { connection.wire }

    /// Parks a connection that is clean. What its holder's word is worth, seeing the connection.
    @inline(__always)
    func park(_ word: LeaseOutcome) -> LeaseOutcome {
        switch word {
        case .clean: wire.parkIfUsable() ? .clean : .broken
        case .needsReset: wire.isUsable ? .needsReset : .broken
        case .spent, .broken: word
        }
    }
}

/// Why a checkout failed: the pool's own reason, with the numbers of that moment.
final class PoolFailure: Error {
    private let refusal: PoolRefusal
    private let statistics: Engine.Statistics
    private let lastConnectFailure: ConnectFailure?

    init(_ refusal: PoolRefusal, _ statistics: Engine.Statistics, _ lastConnectFailure: ConnectFailure?) {
        (self.refusal, self.statistics, self.lastConnectFailure) = (refusal, statistics, lastConnectFailure)
    }

    var error: any Error {
        switch refusal {
        case .timedOut(let circumstances):
            EngineError.checkoutTimedOut(statistics.with(waiterHoldsConnection: circumstances.ownerHoldsLease))
        case .cancelled: CancellationError()
        case .tooManyWaiters: EngineError.tooManyWaiters(statistics)
        case .shutDown: EngineError.shutDown
        case .connectFailed:
            EngineError.connectFailed(lastConnectFailure ?? ConnectFailure(message: "the server refuses connections"))
        }
    }
}

extension Engine.Statistics {
    fileprivate func with(waiterHoldsConnection: Bool) -> Engine.Statistics {
        var statistics = self
        statistics.waiterHoldsConnection = waiterHoldsConnection
        return statistics
    }
}
