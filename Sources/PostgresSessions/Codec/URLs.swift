public import Foundation

/// Text; a relative URL without its base.
extension URL: SQLEncodable, SQLDecodable {
    public static var sqlType: SQLType { .unknown }
    public static var sqlFormat: SQLFormat { .text }

    public init(sqlCell: SQLCell) throws {
        let text = sqlCell.isJSON ? try sqlCell.plainText() : try String(sqlCell: sqlCell)
        guard let url = URL(string: text) else { throw sqlCell.unreadable(URL.self) }
        self = url
    }

    public func encode(into buffer: inout SQLEncodingBuffer) throws { buffer.append(text: relativeString) }
}
