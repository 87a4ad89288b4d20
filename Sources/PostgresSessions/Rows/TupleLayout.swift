/// Where a tuple's elements lie: one behind another, each at the next multiple of its alignment.
enum TupleLayout {
    /// nil when a tuple of that size must be laid out in another way.
    static func offsets<each Element>(of types: repeat (each Element).Type, size: Int) -> [Int]? {
        var end = 0
        var offsets: [Int] = []
        func add<E>(_ type: E.Type) {
            let alignment = MemoryLayout<E>.alignment
            let start = (end + alignment - 1) / alignment * alignment
            offsets.append(start)
            end = start + MemoryLayout<E>.size
        }
        repeat add(each types)
        return end == size ? offsets : nil
    }
}
