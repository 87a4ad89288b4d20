public import Foundation

extension UUID: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .uuid }
    public static var sqlArrayType: SQLType { .uuidArray }

    public init(sqlCell: SQLCell) throws {
        if sqlCell.isBinary && sqlCell.type == .uuid {
            guard sqlCell.bytes.count == 16 else { throw sqlCell.sizeMismatch(expected: 16) }
            self.init(uuid: sqlCell.bytes.loadUnaligned(as: uuid_t.self))
            return
        }
        guard sqlCell.isTextual || sqlCell.type == .uuid else { throw sqlCell.unsupported(UUID.self) }
        guard let value = UUID(uuidString: String(try sqlCell.plainText().trimmingSpaces())) else {
            throw sqlCell.unreadable(UUID.self)
        }
        self = value
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws {
        withUnsafeBytes(of: uuid) { buffer.append($0) }
    }
}
