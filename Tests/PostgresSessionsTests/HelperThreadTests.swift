import Foundation
import Synchronization
import Testing

@testable import PostgresWire

/// A system at its limit of threads ends no process: what blocks waits for a thread that there is, or is refused.
@Suite struct `Work that blocks` {
    /// Starts so many threads, and then no more.
    private final class Starter: Sendable {
        private let left: Atomic<Int>
        init(_ count: Int) { left = Atomic(count) }

        func start(_ body: @escaping @Sendable () -> Void) -> Int32 {
            guard left.subtract(1, ordering: .relaxed).newValue >= 0 else { return EAGAIN }
            return DetachedThread.start(name: "test", body)
        }
    }

    private static func threads(_ count: Int) -> HelperThreads {
        let starter = Starter(count)
        return HelperThreads(limit: 8) { starter.start($0) }
    }

    @Test func `is refused where the system has no thread, and says why`() async {
        let threads = Self.threads(0)
        for _ in 1...3 {
            let error = await withCheckedContinuation { continuation in
                threads.run({ continuation.resume(returning: 0) }, orRefuse: { continuation.resume(returning: $0) })
            }
            #expect(error == EAGAIN)
        }
    }

    @Test func `is done by the threads that there are where there are no more`() async {
        let threads = Self.threads(1)
        let gate = DispatchSemaphore(value: 0)
        let (errors, continuation) = AsyncStream<Int32>.makeStream()
        threads.run({ gate.wait() }, orRefuse: { continuation.yield($0) })
        for _ in 1...5 { threads.run({ continuation.yield(0) }, orRefuse: { continuation.yield($0) }) }
        gate.signal()
        #expect(await errors.prefix(5).allSatisfy { $0 == 0 })
    }

    #if os(Linux)
        /// In a process that speaks another language, libpq says in that why it could not connect.
        @Test func `is done in English, whatever the process's locale`() async {
            let (locales, continuation) = AsyncStream.makeStream(of: UInt.self)
            let threads = HelperThreads(name: "test", limit: 1)
            threads.run(
                { continuation.yield(UInt(bitPattern: uselocale(nil))) }, orRefuse: { _ in continuation.finish() })
            let locale = await locales.first { _ in true }
            let everybodys = UInt.max
            #expect(locale != nil && locale != everybodys)
        }
    #endif
}
