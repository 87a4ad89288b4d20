import Testing

@testable import PoolCore

@Suite struct `The queue` {
    private static func id(_ number: Int) -> WaiterID { WaiterID(rawValue: UInt64(number)) }

    private static func filled(_ count: Int, deadline: (Int) -> Int64) -> WaiterQueue {
        var queue = WaiterQueue()
        for number in 0..<count {
            let instant = PoolInstant(nanoseconds: deadline(number))
            queue.append(id(number), deadline: instant, owner: nil, isUrgent: number % 7 == 0)
        }
        return queue
    }

    @Test func `gives its memory back when a hundred thousand cancel in random order, and keeps little garbage`() {
        let count = 100_000
        var queue = Self.filled(count) { _ in 1000 }
        var generator = SeededGenerator(seed: 1)
        for number in (0..<count).shuffled(using: &generator) {
            #expect(queue.remove(Self.id(number)) != nil)
            guard queue.deadlines.count > 2 * queue.count + 64 else { continue }
            Issue.record("\(queue.deadlines.count) deadlines are kept for \(queue.count) waiters")
        }
        #expect(queue.isEmpty && queue.nodes.isEmpty && queue.deadlines.count == 0)
    }

    @Test func `keeps the order of arrival, urgent ones first, whoever leaves`() {
        var queue = Self.filled(100) { _ in 1000 }
        for number in stride(from: 0, to: 100, by: 3) { _ = queue.remove(Self.id(number)) }
        let rest = (0..<100).filter { $0 % 3 != 0 }
        let expected = rest.filter { $0 % 7 == 0 } + rest.filter { $0 % 7 != 0 }
        #expect(queue.inOrder.map { Int($0.id.rawValue) } == expected)
        var served: [Int] = []
        while let waiter = queue.popFirst() { served.append(Int(waiter.id.rawValue)) }
        #expect(served == expected)
    }

    @Test(arguments: 0..<20)
    func `finds the earliest deadline of the living`(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let deadlines = (0..<200).map { _ in Int64.random(in: 0..<50, using: &generator) }
        var queue = Self.filled(200) { deadlines[$0] }
        var living = Set(0..<200)
        for number in (0..<200).shuffled(using: &generator).prefix(150) {
            _ = queue.remove(Self.id(number))
            living.remove(number)
        }
        var expired: [Int] = []
        while let waiter = queue.popExpired(at: PoolInstant(nanoseconds: 30)) {
            expired.append(Int(waiter.id.rawValue))
        }
        let expected = living.filter { deadlines[$0] <= 30 }.sorted { (deadlines[$0], $0) < (deadlines[$1], $1) }
        #expect(expired == expected)
        #expect(queue.earliestDeadline()?.nanoseconds == living.map { deadlines[$0] }.filter { $0 > 30 }.min())
    }

    @Test(arguments: 0..<20)
    func `finds everybody by name, whatever was added and removed`(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var table = PlaceTable()
        var model: [UInt64: Int32] = [:]
        for step in 0..<2000 {
            let key = UInt64.random(in: 0..<300, using: &generator) << UInt64(seed)
            if Bool.random(using: &generator) {
                let isNew = table.insert(key, Int32(step))
                #expect(isNew == (model[key] == nil))
                if isNew { model[key] = Int32(step) }
            } else {
                table.remove(key)
                model[key] = nil
            }
        }
        for key in (UInt64(0)..<300).map({ $0 << UInt64(seed) }) { #expect(table[key] == model[key]) }
    }
}
