internal import CLibPQ

/// COPY, which a pipeline cannot have: the connection leaves pipeline mode for it and comes back at its end.
extension WireConnection {
    package enum CopyAnswer: Sendable {
        case ready
        case refused(WireServerError)
    }

    /// Starts a COPY FROM STDIN or TO STDOUT. Not while a flight is under way.
    package func beginCopy(_ text: String, _ limits: FlightLimits) async throws(WireError) -> CopyAnswer {
        beginFlight()
        guard outstanding == 0, PQexitPipelineMode(conn) == 1, PQsendQuery(conn, text) == 1 else {
            isBroken = true
            throw loss("cannot begin COPY: \(String(cString: PQerrorMessage(conn)))")
        }
        try await flush(limits)
        let result = try await copyResult(limits)
        let status = result.map { PQresultStatus($0.pointer) }
        if status == PGRES_COPY_IN || status == PGRES_COPY_OUT { return .ready }
        let error =
            result.map { WireServerError($0.pointer) } ?? WireServerError(severity: "ERROR", message: "no answer")
        try await backToPipeline(limits)
        if isCancelling { try await endFlight() }
        if status != PGRES_FATAL_ERROR { throw .refused("the statement is not a COPY") }
        return .refused(error)
    }

    /// Takes more bytes, as many as it is given, or none: then flush, and offer them again.
    package func offerCopy(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Bool {
        guard !bytes.isEmpty else { return true }
        let start = bytes.assumingMemoryBound(to: CChar.self).baseAddress
        if bytes.count > Self.largest { hasGrown = true }
        let taken = PQputCopyData(conn, start, Int32(bytes.count))
        guard taken >= 0 else {
            isBroken = PQstatus(conn) == CONNECTION_BAD
            throw loss(String(cString: PQerrorMessage(conn)))
        }
        return taken == 1
    }

    /// Ends a COPY FROM STDIN; with a reason, it fails on the server, and nothing is copied.
    package func endCopyIn(
        failing reason: String?, _ limits: FlightLimits
    ) async throws(WireError) -> Result<WireResult, WireServerError> {
        while PQputCopyEnd(conn, reason) == 0 { try await flush(limits) }
        try await flush(limits)
        return try await endCopy(limits)
    }

    package enum CopyMessages: Sendable {
        /// `body` has enough.
        case taken
        /// What has arrived was taken.
        case pending
        case end
    }

    /// Takes the messages of a COPY TO STDOUT that have arrived; `body` reads each before it is freed, and says whether it wants
    /// the next one.
    package func takeCopyMessages(_ body: (UnsafeRawBufferPointer) -> Bool) -> CopyMessages {
        while true {
            var buffer: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(conn, &buffer, 1)
            // Of a connection that is gone no more comes; the end of the COPY says why.
            if length == 0 { return PQstatus(conn) == CONNECTION_BAD ? .end : .pending }
            guard length > 0, let buffer else { return .end }
            if length > Self.largest { hasGrown = true }
            defer { PQfreemem(buffer) }
            if !body(UnsafeRawBufferPointer(start: buffer, count: Int(length))) { return .taken }
        }
    }

    /// Reads the end of a COPY, and goes back to pipeline mode. What is still coming of one that is being cancelled is dropped;
    /// it is cancelled then even if its end had come before.
    package func endCopy(_ limits: FlightLimits) async throws(WireError) -> Result<WireResult, WireServerError> {
        var outcome: Result<WireResult, WireServerError>?
        var hasDropped = false
        while let result = try await copyResult(limits) {
            let status = PQresultStatus(result.pointer)
            if status == PGRES_COPY_OUT || status == PGRES_COPY_IN {
                let drop = { (_: UnsafeRawBufferPointer) in
                    hasDropped = true
                    return true
                }
                while case .pending = takeCopyMessages(drop) { try await waitForInput(limits) }
                continue
            }
            guard outcome == nil else { continue }
            outcome =
                switch status {
                case PGRES_COMMAND_OK where hasDropped:
                    .failure(WireServerError(severity: "ERROR", message: "rows were dropped", sqlState: "57014"))
                case PGRES_COMMAND_OK: .success(result)
                default: .failure(WireServerError(result.pointer))
                }
        }
        try await backToPipeline(limits)
        if isCancelling { try await endFlight() }
        return outcome ?? .failure(WireServerError(severity: "ERROR", message: "COPY had no end"))
    }

    /// Cancels the COPY that runs; its end says so.
    package func cancelCopy() { startCancel() }

    private func copyResult(_ limits: FlightLimits) async throws(WireError) -> WireResult? {
        while PQisBusy(conn) == 1 && PQstatus(conn) != CONNECTION_BAD { try await waitForInput(limits) }
        guard let pointer = PQgetResult(conn) else { return nil }
        let result = WireResult(pointer)
        guard PQstatus(conn) == CONNECTION_BAD else { return result }
        isBroken = true
        throw loss(WireServerError(pointer).message)
    }

    private func backToPipeline(_ limits: FlightLimits) async throws(WireError) {
        while try await copyResult(limits) != nil {}
        guard PQenterPipelineMode(conn) == 1 else {
            isBroken = true
            throw loss("cannot go back to pipeline mode: \(String(cString: PQerrorMessage(conn)))")
        }
    }
}

/// What NOTIFY sends.
package struct WireNotification: Sendable {
    package let channel: String
    package let payload: String
    package let processID: Int32
}

extension WireConnection {
    /// Waits until the server has said something unasked, or an interrupt.
    ///
    /// A burst is longer than one read: what is left of it lies in the kernel, and its event is spent.
    package func waitForNews(until deadline: Monotonic?) async {
        let wake =
            hasUnreadBytes ? watch.pendingEnd(deadline) : await watch.wait(for: .read, until: deadline)
        if wake == .ready { consume() }
    }

    /// The notifications that have arrived.
    package func takeNotifications() -> [WireNotification] {
        _ = PQisBusy(conn)  // parses what has arrived
        var found: [WireNotification] = []
        while let notification = PQnotifies(conn) {
            found.append(
                WireNotification(
                    channel: String(cString: notification.pointee.relname),
                    payload: String(cString: notification.pointee.extra), processID: notification.pointee.be_pid))
            PQfreemem(notification)
        }
        if PQstatus(conn) == CONNECTION_BAD { isBroken = true }
        return found
    }
}
