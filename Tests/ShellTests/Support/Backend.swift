import Synchronization

/// One connection of the scripted server: its half of the protocol.
final class Backend {
    let descriptor: Int32
    let processID: Int32
    private let secret: Int32 = 4711
    private let server: ScriptedServer
    private let onCancel: (Int32) -> Void

    private(set) var isLoggedIn = false
    private(set) var isOver = false
    /// When what it does by and by is done.
    private(set) var due: ContinuousClock.Instant?

    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private var closesWhenWritten = false
    private var isStarted = false
    /// What is left to do of a stage that was held or is slow; until then nothing else is answered.
    private var pending: (() -> Void)?
    private var pendingStatement: String?
    /// It will say nothing any more, and does not close.
    private var isMute = false

    private var status = UInt8(ascii: "I")
    private var isSkipping = false
    private var messagesSinceSync = 0
    private var statements: [String: String] = [:]
    private var portal = (text: "", isBinary: false)

    init(_ descriptor: Int32, _ processID: Int32, _ server: ScriptedServer, onCancel: @escaping (Int32) -> Void) {
        self.descriptor = descriptor
        self.processID = processID
        self.server = server
        self.onCancel = onCancel
    }

    var isWriting: Bool { !output.isEmpty }

    // MARK: In and out

    func hear() {
        guard let bytes = LoopbackSockets.receive(descriptor) else {
            isOver = true
            return
        }
        input += bytes
        answer()
        write()
    }

    func say(_ bytes: [UInt8], thenClose: Bool) {
        output += bytes
        closesWhenWritten = thenClose
        write()
    }

    private func write() {
        if !output.isEmpty { output.removeFirst(LoopbackSockets.send(output, descriptor)) }
        if output.isEmpty && closesWhenWritten { isOver = true }
    }

    // MARK: Stages

    func goOnIfDue() { if let due, due <= .now { goOn() } }

    func goOn() {
        guard let rest = pending else { return }
        (pending, pendingStatement, due) = (nil, nil, nil)
        rest()
        answer()
        write()
    }

    func takeCancel() {
        guard let statement = pendingStatement else { return }
        (pending, pendingStatement, due) = (nil, nil, nil)
        server.state.withLock { $0.cancelHits.append(statement) }
        refuse("57014")
        answer()
        write()
    }

    /// Does what the script wants at this moment; `proceed` is the ordinary answer.
    private func reach(_ moment: Stage, _ proceed: @escaping () -> Void) {
        switch server.reaction(at: moment, on: processID) {
        case .ok: proceed()
        case .error(let code): refuse(code)
        case .fatal(let code): say(ServerBytes.fatal(code), thenClose: true)
        case .slow(let milliseconds):
            wait(at: moment, proceed)
            due = .now + .milliseconds(milliseconds)
        case .hold: wait(at: moment, proceed)
        case .holdThenError(let code): wait(at: moment) { [unowned self] in refuse(code) }
        case .cut: isOver = true
        case .garbage: goMute(ServerBytes.garbage)
        case .only(let bytes): goMute(bytes)
        case .okThen(let bytes):
            proceed()
            output += bytes
        case .okThenClose(let bytes):
            proceed()
            say(bytes, thenClose: true)
        case .okLeaving(let status):
            proceed()
            self.status = status
        }
    }

    private func wait(at moment: Stage, _ proceed: @escaping () -> Void) {
        if case .statement(let text) = moment { pendingStatement = text }
        pending = proceed
    }

    private func goMute(_ bytes: [UInt8]) {
        isMute = true
        say(bytes, thenClose: false)
    }

    // MARK: The client's messages

    private func answer() {
        while pending == nil && !isMute && !isOver && !closesWhenWritten {
            guard isStarted else {
                guard takeStartup() else { return }
                continue
            }
            guard input.count >= 5 else { return }
            var header = ClientBytes(input[1..<5])
            let length = Int(header.integer(Int32.self))
            guard input.count > length else { return }
            let (type, body) = (input[0], ClientBytes(input[5..<(length + 1)]))
            input.removeFirst(length + 1)
            answer(to: type, body)
        }
    }

    /// False: the packet is not complete.
    private func takeStartup() -> Bool {
        guard input.count >= 8 else { return false }
        var packet = ClientBytes(input)
        let length = Int(packet.integer(Int32.self))
        guard input.count >= length else { return false }
        input.removeFirst(length)
        switch packet.integer(Int32.self) {
        case 80_877_103, 80_877_104: say(Array("N".utf8), thenClose: false)
        case 80_877_102:
            isStarted = true
            let target = packet.integer(Int32.self)
            reach(.cancel) { [unowned self] in
                onCancel(target)
                closesWhenWritten = server.state.withLock { $0.closesCancelConnections }
            }
        default:
            isStarted = true
            server.state.withLock { $0.attempts.append(.now) }
            reach(.connect) { [unowned self] in
                if server.state.withLock({ $0.password }) == nil {
                    logIn()
                } else {
                    output += ServerBytes.passwordWanted
                }
            }
        }
        return true
    }

    private func check(_ password: String) {
        guard server.state.withLock({ $0.password }) == password else {
            return say(ServerBytes.fatal("28P01"), thenClose: true)
        }
        logIn()
    }

    private func logIn() {
        isLoggedIn = true
        let givesKeyData = server.state.withLock { state in
            state.logins += 1
            state.open += 1
            return state.givesKeyData
        }
        output += ServerBytes.authenticationOK
        for (name, value) in [
            ("server_version", "15.8"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on"),
            ("integer_datetimes", "on"),
        ] { output += ServerBytes.parameterStatus(name, value) }
        if givesKeyData { output += ServerBytes.keyData(processID, secret) }
        output += ServerBytes.readyForQuery(status)
    }

    private func answer(to type: UInt8, _ body: ClientBytes) {
        var body = body
        if type == UInt8(ascii: "S") { return sync() }
        if type == UInt8(ascii: "X") {
            isOver = true
            return
        }
        messagesSinceSync += 1
        guard !isSkipping else { return }
        switch type {
        case UInt8(ascii: "p"):
            messagesSinceSync = 0
            check(body.text())
        case UInt8(ascii: "P"):
            let name = body.text()
            statements[name] = body.text()
            output += ServerBytes.parseComplete
        case UInt8(ascii: "B"): bind(&body)
        case UInt8(ascii: "D"):
            output += isQuery ? ServerBytes.rowDescription(isBinary: portal.isBinary) : ServerBytes.noData
        case UInt8(ascii: "E"):
            let text = portal.text
            reach(.statement(text)) { [unowned self] in execute(text) }
        case UInt8(ascii: "C"): output += ServerBytes.closeComplete
        case UInt8(ascii: "f"): refuse("57014")
        default: break
        }
    }

    private func sync() {
        let isPing = messagesSinceSync == 0
        messagesSinceSync = 0
        isSkipping = false
        guard isPing else {
            output += ServerBytes.readyForQuery(status)
            return
        }
        reach(.ping) { [unowned self] in output += ServerBytes.readyForQuery(status) }
    }

    private func bind(_ body: inout ClientBytes) {
        _ = body.text()
        guard let text = statements[body.text()] else { return refuse("26000") }
        body.skip(2 * Int(body.integer(Int16.self)))
        for _ in 0..<body.integer(Int16.self) { body.skip(Int(body.integer(Int32.self))) }
        portal = (text, body.integer(Int16.self) > 0 && body.integer(Int16.self) == 1)
        output += ServerBytes.bindComplete
    }

    // MARK: Statements

    private var isQuery: Bool { portal.text.hasPrefix("SELECT") }

    private func execute(_ text: String) {
        let words = text.split(separator: " ").map { $0.uppercased() }
        let isUndoing = words.first == "ROLLBACK" || words.first == "COMMIT"
        guard status != UInt8(ascii: "E") || isUndoing else { return refuse("25P02") }
        if text.hasPrefix("SELECT") {
            let number = words.last.flatMap { Int32($0) } ?? 1
            output += ServerBytes.dataRow(number, isBinary: portal.isBinary)
        }
        output += ServerBytes.commandComplete(tag(words))
        switch words.first {
        case "BEGIN": status = UInt8(ascii: "T")
        case "COMMIT": status = UInt8(ascii: "I")
        case "ROLLBACK": status = UInt8(ascii: words.contains("TO") ? "T" : "I")
        case "DISCARD": statements = [:]
        default: break
        }
    }

    private func tag(_ words: [String]) -> String {
        switch words.first {
        case "SELECT", "UPDATE", "DELETE": "\(words[0]) 1"
        case "INSERT": "INSERT 0 1"
        case "COMMIT": status == UInt8(ascii: "E") ? "ROLLBACK" : "COMMIT"
        case "DISCARD": "DISCARD ALL"
        default: words.first ?? ""
        }
    }

    private func refuse(_ code: String) {
        if !isStarted || !isLoggedIn { return say(ServerBytes.fatal(code), thenClose: true) }
        output += ServerBytes.error(code)
        if status == UInt8(ascii: "T") { status = UInt8(ascii: "E") }
        isSkipping = messagesSinceSync > 0
        if messagesSinceSync == 0 { output += ServerBytes.readyForQuery(status) }
    }
}
