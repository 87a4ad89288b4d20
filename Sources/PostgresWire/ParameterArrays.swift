internal import CLibPQ

/// The four arrays in which libpq wants a statement's parameters. One per connection, refilled for each statement.
///
/// The values point into the parameters' own buffer, so they are valid only while that is held.
struct ParameterArrays: ~Copyable {
    private(set) var values: UnsafeMutablePointer<UnsafePointer<CChar>?>
    private(set) var numbers: UnsafeMutablePointer<Int32>
    private var capacity: Int

    var lengths: UnsafeMutablePointer<Int32> { numbers }
    var formats: UnsafeMutablePointer<Int32> { numbers + capacity }
    var types: UnsafePointer<Oid> {
        UnsafeRawPointer(numbers + 2 * capacity).assumingMemoryBound(to: Oid.self)
    }

    init() {
        capacity = 8
        values = .allocate(capacity: capacity)
        numbers = .allocate(capacity: 3 * capacity)
    }

    deinit {
        values.deallocate()
        numbers.deallocate()
    }

    /// Fills the arrays and calls `body`, while the parameters' bytes stay where they are.
    @inline(__always)
    mutating func withFilled(
        _ parameters: WireParameters, _ body: (borrowing ParameterArrays) -> Int32
    ) -> Int32 {
        if parameters.count > capacity { grow(to: parameters.count) }
        return parameters.bytes.withUnsafeBytes { _ in
            let (values, numbers, capacity) = (values, numbers, capacity)
            parameters.forEach { index, parameter, bytes in
                values[index] = parameter.length < 0 ? nil : bytes.assumingMemoryBound(to: CChar.self)
                numbers[index] = max(parameter.length, 0)
                numbers[capacity + index] = parameter.isBinary ? 1 : 0
                numbers[2 * capacity + index] = Int32(bitPattern: parameter.oid)
            }
            return body(self)
        }
    }

    private mutating func grow(to wanted: Int) {
        values.deallocate()
        numbers.deallocate()
        capacity = wanted
        values = .allocate(capacity: capacity)
        numbers = .allocate(capacity: 3 * capacity)
    }
}
