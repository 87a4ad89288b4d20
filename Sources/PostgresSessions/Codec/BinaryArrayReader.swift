/// Walks a binary array element by element; every length is checked before it is believed.
struct BinaryArrayReader {
    let dimensions: [Int]
    /// The first index of each dimension; empty where all are 1, as nearly always.
    let lowerBounds: [Int]
    let elementType: SQLType
    private let form: SQLCellForm
    private var reader: ByteReader

    init(_ cell: SQLCell) throws {
        reader = ByteReader(cell.bytes)
        let count = try reader.integer(Int32.self)
        guard (0...Int32(ArrayForm.maximumDimensions)).contains(count) else {
            throw SQLValueError("an array of \(count) dimensions")
        }
        _ = try reader.integer(Int32.self)  // whether there are NULLs: each element says so itself
        elementType = cell.canonical(SQLType(rawValue: try reader.integer(UInt32.self)))
        form = cell.form
        var dimensions: [Int] = []
        var lowerBounds: [Int] = []
        var elements = 1
        for _ in 0..<count {
            let length = Int(try reader.integer(Int32.self))
            let bound = Int(try reader.integer(Int32.self))
            if bound != 1 || !lowerBounds.isEmpty {
                lowerBounds += Array(repeating: 1, count: dimensions.count - lowerBounds.count) + [bound]
            }
            guard length >= 0 else { throw SQLValueError("an array of \(length) elements") }
            let (product, overflow) = elements.multipliedReportingOverflow(by: length)
            guard !overflow else { throw SQLValueError("an array of too many elements") }
            elements = product
            dimensions.append(length)
        }
        // Each element has at least its length, so a false count cannot make anybody reserve memory for it.
        guard elements <= reader.remaining / 4 || count == 0 else {
            throw SQLValueError("an array that is shorter than its own count of elements")
        }
        guard dimensions.allSatisfy({ $0 > 0 }) || count <= 1 else {
            throw SQLValueError("an array with an empty dimension")
        }
        self.dimensions = dimensions
        self.lowerBounds = lowerBounds
    }

    var isEmpty: Bool { dimensions.isEmpty }

    /// The next element; nil for NULL.
    mutating func next() throws -> SQLCell? {
        guard let bytes = try reader.counted() else { return nil }
        return SQLCell(bytes: bytes, type: elementType, form: form)
    }

    func finish() throws {
        guard reader.remaining == 0 else { throw SQLValueError("an array with \(reader.remaining) bytes too many") }
    }
}
