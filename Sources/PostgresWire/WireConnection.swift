internal import CLibPQ
internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#else
    internal import Glibc
#endif

/// One physical connection, in pipeline mode for life: commands are queued, leave in one flight, and are answered in order.
///
/// It decides nothing about transactions or pools. libpq's calls run on the borrower's thread; a loop only says when the
/// socket is ready. Every wait ends: by an answer, the flight's deadline, or an interrupt, after which the statement is
/// cancelled on the server and the flight drained within `cancelTimeout`, or the connection is broken.
package final class WireConnection: @unchecked Sendable {
    // Proof: all state but the watch and the cancel request, which lock for themselves, is touched only by the one task
    // that has borrowed the connection; the pool's lock orders one borrower after another.
    let conn: OpaquePointer
    let watch: SocketWatch
    private let loop: EventLoop
    /// A duplicate of libpq's descriptor, ours until the close: libpq closes its own whenever it finds the connection lost, and
    /// the number may then be somebody else's.
    let descriptor: Int32
    private let onNotice: @Sendable (WireServerError) -> Void

    package let processID: Int32
    package let serverVersion: Int32
    /// Host and port as configured, with the address where a name was resolved.
    package let target: String
    /// A message has made libpq's buffers so large that they are not worth keeping: libpq never makes them smaller.
    @exclusivity(unchecked) var hasGrown = false
    /// As above, for another module, whose own reading would be checked for exclusive access.
    package func isFull() -> Bool { hasGrown }
    /// Bytes queued since the output was last seen empty, or more.
    @exclusivity(unchecked) var unsentBytes = 0
    /// Bytes of a message, or of a flight; well below the time it takes to carry so much lies the time of a new connection.
    static let largest = 16 << 20
    /// Nothing can be said on this connection any more.
    @exclusivity(unchecked) package internal(set) var isBroken = false
    /// Queued commands and syncs whose answers have not been read.
    @exclusivity(unchecked) var outstanding = 0
    /// Who interrupted the current flight, and the request that tells the server.
    @exclusivity(unchecked) var interruption: Interruption?
    @exclusivity(unchecked) var cancelling: Cancelling?
    /// When a flight is given up that was interrupted and is not cancelled.
    @exclusivity(unchecked) var givenUpAt: Monotonic?
    /// Why a statement's flight was interrupted.
    package enum Interruption: Sendable { case cancelled, timedOut }
    @exclusivity(unchecked) var lastFatal: WireServerError?
    @exclusivity(unchecked) var arrays = ParameterArrays()
    @exclusivity(unchecked) var sending = Sending.sent
    /// What has been written waits for the rest of its flight.
    @exclusivity(unchecked) var isCorked = false
    /// Who takes the rows of one of the flight's commands as they come.
    @exclusivity(unchecked) var rowSink: (any RowSink)?
    /// How many answers come before that command's.
    @exclusivity(unchecked) var answersBeforeRows = 0
    @exclusivity(unchecked) var isSinking = false
    let lender = WireResult()
    /// Whether this flight has read from the socket.
    @exclusivity(unchecked) var hasConsumed = false
    /// nil once closed. Under a lock, because `sever` may come from any thread.
    private let openSocket: Mutex<Int32?>
    private let hasBeenShutDown = Atomic<Bool>(false)
    private var isClosed: Bool { openSocket.withLock { $0 == nil } }

    /// How long a cancelled statement's flight may take to end before the connection is given up.
    package static let cancelTimeout = Duration.seconds(5)

    init(
        adopting conn: OpaquePointer, target: String, onNotice: @escaping @Sendable (WireServerError) -> Void,
        onEnd: @escaping @Sendable () -> Void
    ) throws(WireConnectFailure) {
        self.conn = conn
        self.target = target
        self.onNotice = onNotice
        loop = EventLoops.shared.pick()
        watch = SocketWatch(loop: loop, onEndWhileParked: onEnd)
        descriptor = cpq_duplicate(PQsocket(conn))
        processID = PQbackendPID(conn)
        serverVersion = PQserverVersion(conn)
        openSocket = Mutex(descriptor)
        let error = descriptor < 0 ? cpq_errno() : loop.add(watch, fd: descriptor)
        guard error == 0 else {
            PQfinish(conn)
            if descriptor >= 0 { _ = closeDescriptor(descriptor) }
            openSocket.withLock { $0 = nil }
            throw WireConnectFailure(reason: .lost, target: target, message: "cannot watch the socket: errno \(error)")
        }
        let context = Unmanaged.passUnretained(self).toOpaque()
        PQsetNoticeReceiver(
            conn,
            { context, result in
                guard let context, let result else { return }
                let connection = Unmanaged<WireConnection>.fromOpaque(context).takeUnretainedValue()
                connection.notice(WireServerError(result))
            }, context)
    }

    deinit { if !isClosed { closeNow() } }

    /// Outside a flight, libpq delivers a FATAL as a notice: it is the reason of the end that follows.
    private func notice(_ notice: WireServerError) {
        if notice.isFatal { lastFatal = notice } else { onNotice(notice) }
    }

    // MARK: Free truths

    /// Whether text goes both ways in UTF-8, as far as the server has said. True of a connection that is gone.
    package var isInUTF8: Bool {
        let encoding = PQclientEncoding(conn)
        return encoding == Self.utf8 || encoding < 0
    }

    private static let utf8 = pg_char_to_encoding("UTF8")

    /// What the protocol says of the session, without asking the server.
    package enum TransactionStatus: Sendable { case idle, active, inTransaction, failed, unknown }

    package var transactionStatus: TransactionStatus {
        switch PQtransactionStatus(conn) {
        case PQTRANS_IDLE: .idle
        case PQTRANS_ACTIVE: .active
        case PQTRANS_INTRANS: .inTransaction
        case PQTRANS_INERROR: .failed
        default: .unknown
        }
    }

    // MARK: Parking

    /// Nobody borrows it from here on; the owner hears of its socket's end. False: it has ended already.
    package func park() -> Bool { !watch.park() || isAliveNow() }

    /// A borrower takes it. False: the server has closed it meanwhile.
    package func unpark() -> Bool { !watch.unpark() || isAliveNow() }

    /// Reads what has arrived unasked: notices, settings, notifications, or the end.
    private func isAliveNow() -> Bool {
        guard hasUnreadBytes else { return true }
        let isReadable = PQconsumeInput(conn) == 1
        _ = PQisBusy(conn)  // parses what came
        if !isReadable || PQstatus(conn) == CONNECTION_BAD || lastFatal != nil { isBroken = true }
        return !isBroken
    }

    /// The end of a connection whose socket has announced it, with the server's last words, or that a shutdown has cut: what is
    /// said now reaches nobody.
    package func announcedEnd() -> WireError? {
        guard watch.hasEnded || isShutDown, !isAliveNow() else { return nil }
        return loss(oneLine(PQerrorMessage(conn)))
    }

    /// The connection is gone: by whose doing.
    func loss(_ message: String) -> WireError {
        isShutDown ? .shutDown : .lost(message, lastFatal)
    }

    /// Asks the flight that runs now, or comes next, to end soon. Any thread; harmless when there is none.
    package func interrupt(forShutdown: Bool = false) {
        if forShutdown { hasBeenShutDown.store(true, ordering: .relaxed) }
        watch.interrupt()
    }

    /// The engine's shutdown has asked for the end of what runs.
    package var isShutDown: Bool { hasBeenShutDown.load(ordering: .relaxed) }

    /// Forgets an interrupt that no flight has heard.
    package func clearInterrupt() { watch.clearInterrupt() }

    // MARK: Closing

    /// The conversation has left its protocol: no answer can be trusted any more.
    package func closeAfterSurprise() { isBroken = true }

    /// Says goodbye, closes the socket, and waits (bounded) until the server has closed its side too, so that whoever
    /// counts connections counts what the server counts.
    package func close() async {
        guard let socket = openSocket.withLock({ $0.take() }) else { return }
        let mustWait = !isBroken
        isBroken = true
        PQfinish(conn)
        if mustWait { await awaitEnd(of: socket, until: Monotonic.now.advanced(by: .seconds(1))) }
        loop.remove(watch, fd: socket)
        _ = closeDescriptor(socket)
    }

    /// Closes at once, without waiting for the server.
    package func closeNow() {
        guard let socket = openSocket.withLock({ $0.take() }) else { return }
        isBroken = true
        PQfinish(conn)
        loop.remove(watch, fd: socket)
        _ = closeDescriptor(socket)
    }

    /// Reads what is still coming to its end. libpq is done with the connection; only our descriptor is left of it.
    private func awaitEnd(of socket: Int32, until deadline: Monotonic) async {
        watch.clearInterrupt()
        var buffer: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        while Monotonic.now < deadline {
            let count = recv(socket, &buffer, MemoryLayout.size(ofValue: buffer), Int32(CPQ_MSG_DONTWAIT))
            if count > 0 { continue }
            guard count < 0, [EAGAIN, EWOULDBLOCK, EINTR].contains(cpq_errno()) else { return }
            guard await watch.wait(for: .read, until: deadline) == .ready else { return }
        }
    }

    /// Ends the socket under whoever uses it: their next wait finds the connection lost. Any thread.
    package func sever() {
        openSocket.withLock { socket in
            if let socket { _ = shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    // MARK: Waiting

    /// Suspends until the socket is ready. Soft deadline and interrupts start the cancelling of the flight.
    func wait(for wanted: SocketNews, _ limits: FlightLimits) async throws(WireError) {
        let wake = await watch.wait(for: wanted, until: nextDeadline(limits))
        if wake != .ready { try heed(wake, limits) }
    }

    /// What a wait that the socket did not end means for the flight.
    func heed(_ wake: Wake, _ limits: FlightLimits) throws(WireError) {
        switch wake {
        case .ready, .late: return
        case .interrupted:
            watch.clearInterrupt()
            if limits.isInterruptible {
                beginCancel(.cancelled)
            } else if limits.endsAfterInterrupt, givenUpAt == nil {
                givenUpAt = .now.advanced(by: Self.cancelTimeout)
            }
        case .deadline:
            if let cancelling, cancelling.deadline > .now {
                // A request that comes before its statement has begun, or between two of them, is lost.
                self.cancelling?.askAgain(conn)
                return
            }
            if cancelling == nil, let soft = limits.soft, soft <= .now, limits.hard.map({ $0 > .now }) ?? true {
                return beginCancel(.timedOut)
            }
            isBroken = true
            throw .timedOut(
                interruption == nil
                    ? "no answer from \(target) in time" : "\(target) did not end a cancelled statement in time")
        }
    }

    func startCancel() { beginCancel(.cancelled) }

    private func beginCancel(_ reason: Interruption) {
        guard cancelling == nil else { return }
        interruption = reason
        cancelling = Cancelling(conn, deadline: .now.advanced(by: Self.cancelTimeout))
    }

    /// When the next wait of a flight ends.
    func nextDeadline(_ limits: FlightLimits) -> Monotonic? {
        if let cancelling { return min(cancelling.deadline, cancelling.nextRequest) }
        guard let givenUpAt else { return limits.earliest }
        return limits.earliest.map { min($0, givenUpAt) } ?? givenUpAt
    }

    /// Reads what the socket has. After it, the parser knows more, or the connection is known to be bad.
    func consume() {
        hasConsumed = true
        repeat {
            if PQconsumeInput(conn) == 0 { return }
        } while cpq_tls_pending(conn) > 0 && PQisBusy(conn) == 1
    }

    /// Whether bytes lie in the kernel, or decrypted in the TLS library, that no new event will announce.
    var hasUnreadBytes: Bool { cpq_tls_pending(conn) > 0 || cpq_is_readable(descriptor) }
}

/// When a flight's waits end.
package struct FlightLimits: Sendable {
    /// Reached: the statement is cancelled on the server, and the flight drained.
    package var soft: Monotonic?
    /// Reached: the connection is broken.
    package var hard: Monotonic?
    /// Whether an interrupt cancels the statement. COMMIT, ROLLBACK and clean-up are not interruptible.
    package var isInterruptible: Bool
    /// Where it is not: whether an interrupt gives the flight `cancelTimeout` to end by itself, or the connection is broken.
    package var endsAfterInterrupt = false
    /// Of several statements, how long each may take.
    private var each: Duration?
    /// Whatever their number.
    private var all: Monotonic?

    package init(soft: Monotonic? = nil, hard: Monotonic? = nil, isInterruptible: Bool = true) {
        self.soft = soft
        self.hard = hard
        self.isInterruptible = isInterruptible
    }

    package init(each: Duration?, all: Monotonic?) {
        self.init(soft: all)
        (self.each, self.all) = (each, all)
        restart(for: 1)
    }

    /// The server is alive, and has so many statements to answer. It may answer them together, however long each takes.
    package mutating func restart(for statements: Int) {
        guard let each else { return }
        let next = Monotonic.now.advanced(by: each * max(statements, 1))
        soft = all.map { min($0, next) } ?? next
    }

    /// For a time in which the server is not waited for.
    package var withoutServer: FlightLimits { FlightLimits(soft: all, isInterruptible: isInterruptible) }

    var earliest: Monotonic? {
        guard let soft else { return hard }
        return hard.map { min($0, soft) } ?? soft
    }
}

/// `close(2)`, which the class's own `close` hides.
private func closeDescriptor(_ descriptor: Int32) -> Int32 { close(descriptor) }
