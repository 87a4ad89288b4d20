#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif
internal import PostgresWire
import Dispatch
import Foundation
import Synchronization

/// The proxy's thread as seen from outside: commands go in, and each has taken effect when `perform` returns.
final class ProxyLoop: Sendable {
    typealias Command = @Sendable (ProxyRelay) -> Void

    private struct Inbox {
        var commands: [(Command, DispatchSemaphore)] = []
        var isOpen = true
    }

    let port: UInt16
    private let inbox = Mutex(Inbox())
    private let wakeUp: Int32  // written to under the inbox's lock and only while it is open

    init(addresses: [SocketAddress], counters: ProxyCounters) throws {
        let listener = try Listener()
        port = listener.port
        let (wakened, wakeUp) = try makePipe()
        self.wakeUp = wakeUp
        for end in [wakened, wakeUp] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        let relay = ProxyRelay(listener: listener, addresses: addresses, counters: counters, wakened: wakened)
        let box = HandOver(relay)
        let thread = Thread { [self] in run(box.relay) }
        thread.name = "FaultProxy"
        thread.start()
    }

    /// Has the proxy's thread run a command, and waits for it (microseconds). Does nothing once the loop has ended.
    func perform(_ command: @escaping Command) {
        let done = DispatchSemaphore(value: 0)
        let isTaken = inbox.withLock { inbox in
            guard inbox.isOpen else { return false }
            inbox.commands.append((command, done))
            var byte: UInt8 = 0
            _ = write(wakeUp, &byte, 1)
            return true
        }
        if isTaken { done.wait() }
    }

    func end(waiting: Bool) {
        if waiting { return perform { $0.end() } }
        inbox.withLock { inbox in
            guard inbox.isOpen else { return }
            inbox.commands.append(({ $0.end() }, DispatchSemaphore(value: 0)))
            var byte: UInt8 = 0
            _ = write(wakeUp, &byte, 1)
        }
    }

    private func run(_ relay: ProxyRelay) {
        while !relay.hasEnded {
            relay.waitForSomething()
            relay.work()
            for (command, done) in takeCommands() {
                command(relay)
                done.signal()
            }
        }
        inbox.withLock { inbox in
            inbox.isOpen = false
            _ = close(wakeUp)
        }
        takeCommands().forEach { $0.1.signal() }
    }

    private func takeCommands() -> [(Command, DispatchSemaphore)] {
        inbox.withLock { inbox in
            let commands = inbox.commands
            inbox.commands = []
            return commands
        }
    }
}

/// Carries the relay to its thread.
/// Unchecked: made in `ProxyLoop.init`, which keeps no reference, and read once, by the thread that owns it from then on.
private final class HandOver: @unchecked Sendable {
    let relay: ProxyRelay

    init(_ relay: ProxyRelay) { self.relay = relay }
}
