import Foundation

/// json and jsonb, through Foundation's coders. Dates are ISO 8601 text, to the microsecond, as the server's own JSON has.
enum JSONForm {
    static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            let text = try container.decode(String.self)
            guard let moment = TimeScanner.timestamp(text), let date = try? Date(microsecondsSince2000: moment) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "no ISO 8601 date")
            }
            return date
        }
        return decoder
    }()

    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .custom { date, encoder in
            let (day, clock) = ClockForm.split(try date.microsecondsSince2000())
            guard !day.isBeforeChrist else { throw SQLValueError("a date before the year 1 has no JSON form") }
            var container = encoder.singleValueContainer()
            try container.encode(day.text + "T" + ClockForm.text(microseconds: clock) + "Z")
        }
        return encoder
    }()

    /// jsonb's binary form is a version byte, 1, before the text.
    static func textBytes(_ cell: SQLCell) throws -> UnsafeRawBufferPointer {
        guard cell.isBinary, cell.type == .jsonb else { return cell.bytes }
        guard cell.bytes.first == 1 else { throw SQLValueError("jsonb of an unknown version") }
        return UnsafeRawBufferPointer(rebasing: cell.bytes.dropFirst())
    }

    static func text(_ cell: SQLCell) throws -> String {
        guard let text = try textBytes(cell).validUTF8 else {
            throw SQLValueError("the text is not valid UTF-8")
        }
        return text
    }

    /// Appends a value as binary jsonb.
    static func encode(_ value: some Encodable, into buffer: inout SQLEncodingBuffer) throws {
        let data: Data
        do {
            data = try encoder.encode(value)
        } catch let error as EncodingError {
            throw SQLValueError("the value has no JSON form (\(Self.kind(of: error)))")
        }
        buffer.append([1])
        buffer.append(data)
    }

    private static func kind(of error: EncodingError) -> String {
        guard case .invalidValue(let value, let context) = error else { return "not encodable" }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return "\(type(of: value)) at \(path.isEmpty ? "the top" : path)"
    }
}

extension SQLCell {
    var isJSON: Bool { type.isJSON }

    @usableFromInline
    var isJSONNull: Bool {
        guard isJSON, let text = try? JSONForm.textBytes(self), text.count < 64 else { return false }
        return String(decoding: text, as: UTF8.self).trimmingSpaces() == "null"
    }
}

extension SQLType {
    var isJSON: Bool { self == .json || self == .jsonb }
}
