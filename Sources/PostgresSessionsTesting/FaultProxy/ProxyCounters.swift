import Synchronization

/// What the proxy's thread tells everybody else, and the delay that everybody may tell it.
final class ProxyCounters: Sendable {
    let flights = Atomic<Int>(0)
    let connections = Atomic<Int>(0)
    let openConnections = Atomic<Int>(0)
    let bytesToServer = Atomic<Int>(0)
    let bytesToClient = Atomic<Int>(0)
    let latencyNanoseconds = Atomic<Int64>(0)

    func count(bytes: Int, _ direction: FaultProxy.Direction) {
        switch direction {
        case .toServer: bytesToServer.add(bytes, ordering: .sequentiallyConsistent)
        case .toClient: bytesToClient.add(bytes, ordering: .sequentiallyConsistent)
        }
    }
}
