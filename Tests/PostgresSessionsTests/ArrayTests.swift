import Foundation
import PostgresWire
import Testing

@testable import PostgresSessions

@Suite struct `Arrays` {
    private enum Mood: String, SQLEncodable, SQLDecodable { case happy, sad }

    @Test func `come back with their NULLs`() throws {
        #expect(try decode([Int].self, .int8Array, encoded([1, 2, 3])) == [1, 2, 3])
        #expect(try decode([Int?].self, .int8Array, encoded([1, nil, 3])) == [1, nil, 3])
        #expect(try decode([Int].self, .int8Array, encoded([Int]())) == [])
        #expect(try decode([Double].self, .float8Array, encoded([1.5])) == [1.5])
        #expect(try decode([[UInt8]].self, .byteaArray, encoded([[1, 2], []] as [[UInt8]])) == [[1, 2], []])
        #expect(try decode([Date].self, .timestamptzArray, encoded([Date.distantPast])) == [.distantPast])
    }

    @Test func `widen and narrow their elements`() throws {
        #expect(try decode([Int].self, .int2Array, encoded([1, 2] as [Int16])) == [1, 2])
        #expect(reason { _ = try decode([Int8].self, .int8Array, encoded([1, 1000])) } != nil)
    }

    @Test func `have any number of dimensions`() throws {
        #expect(try decode([[Int]].self, .int8Array, encoded([[1, 2], [3, 4]])) == [[1, 2], [3, 4]])
        #expect(try decode([[[Int?]]].self, .int8Array, encoded([[[1, nil]]])) == [[[1, nil]]])
        #expect(reason { _ = try decode([Int].self, .int8Array, encoded([[1]])) }?.contains("2 dimensions") == true)
        #expect(reason { _ = try encoded([[1], [2, 3]]) }?.contains("rectangle") == true)
        #expect(try decode([[Int]].self, text: "{{1,2},{3,4}}") == [[1, 2], [3, 4]])
    }

    @Test func `name what they have too few dimensions for`() throws {
        let flat = reason { _ = try decode([[Int]].self, .int8Array, encoded([1])) }
        #expect(flat == "the array has 1 dimension, and Array<Int> wants one more")
        let deep = reason { _ = try decode([[[Int]]].self, .int8Array, encoded([[1]])) }
        #expect(deep == "the array has 2 dimensions, and Array<Int> wants one more")
        #expect(reason { _ = try decode([[Int]].self, text: "{1}") }?.contains("fewer dimensions") == true)
        #expect(try decode([[Int]].self, .jsonbArray, encoded([Parts(numbers: [1])])) == [[1]])
    }

    @Test func `name the element that does not fit`() {
        let binary = reason { _ = try decode([Int8].self, .int8Array, encoded([1, 1000])) }
        #expect(binary?.hasPrefix("element 1 of the array: ") == true)
        #expect(reason { _ = try decode([Int].self, text: "{1,x}") }?.hasPrefix("element 1 of the array: ") == true)
    }

    /// An array in JSON.
    private struct Parts: Encodable, SQLEncodable {
        var numbers: [Int]
        func encode(to encoder: any Encoder) throws { try numbers.encode(to: encoder) }
    }

    @Test func `refuse a NULL where the element is not optional, and name its place`() {
        #expect(reason { _ = try decode([Int].self, .int8Array, encoded([1, nil])) }?.contains("element 1") == true)
        #expect(reason { _ = try decode([Int].self, text: "{1,NULL}") }?.contains("element 1") == true)
    }

    @Test func `read from text`() throws {
        #expect(try decode([Int].self, text: "{1}") == [1])
        #expect(try decode([Int].self, text: " { 1 , 2 } ") == [1, 2])
        #expect(try decode([String].self, text: #"{a,"b \"c\" \\ {,}",""}"#) == ["a", #"b "c" \ {,}"#, ""])
        #expect(try decode([String?].self, text: #"{NULL,"NULL",null}"#) == [nil, "NULL", nil])
        #expect(try decode([Int].self, text: "[0:1]={7,8}") == [7, 8])
        #expect(try decode([Int].self, text: "{}") == [])
        #expect(try decode([Int].self, text: "{1,\n2}") == [1, 2])
        #expect(try decode([String].self, text: "{a b , c}") == ["a b", "c"])
        #expect(try decode([String].self, text: #"{a\ ,\NULL}"#) == ["a ", "NULL"])
        #expect(try decode([[[[[[Int]]]]]].self, text: "{{{{{{1}}}}}}") == [[[[[[1]]]]]])
        #expect(reason { _ = try decode([Int].self, text: "{{{{{{{1}}}}}}}") }?.contains("deeply") == true)
    }

    @Test(arguments: ["{,}", "{a,}", #"{"a"xb}"#, "{a{b}", "{a{b}}", #"{"a""b"}"#])
    func `refuse text that the server would not print, where anything is an element`(text: String) {
        #expect(reason { _ = try decode([String].self, text: text) } != nil)
    }

    @Test func `go out with what the server wants to know of them`() throws {
        let flag = { (bytes: [UInt8]) in Array(bytes[4..<8]) }
        #expect(try flag(encoded([1, 2])) == big(Int32(0)))
        #expect(try flag(encoded([1, nil])) == big(Int32(1)))
        #expect(try flag(encoded([[nil, 1], [2, 3]])) == big(Int32(1)))
        #expect(try encoded([Int]()) == big(Int32(0)) + big(Int32(0)) + big(SQLType.int8.rawValue))
        #expect(reason { _ = try encoded([[[[[[[1]]]]]]]) }?.contains("7 dimensions") == true)
    }

    /// One value after the other, by its own hand.
    private struct Walk: Decodable, Equatable {
        var values: [Int?] = []
        init(_ values: [Int?]) { self.values = values }
        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            while !container.isAtEnd {
                values.append(try container.decodeNil() ? nil : try container.decode(Int.self))
            }
        }
    }

    @Test func `are walked through by types without a codec`() throws {
        func walk<V: SQLEncodable>(_ values: V) throws -> Walk {
            try encoded(values).withUnsafeBytes {
                try CellDecoder.decode(Walk.self, from: SQLCell(bytes: $0, type: .int8Array, isBinary: true))
            }
        }
        #expect(try walk([1, nil, nil, 4]) == Walk([1, nil, nil, 4]))
        #expect(try walk([Int]()) == Walk([]))
        #expect(reason { _ = try walk([[1], [2]]) }?.contains("several dimensions") == true)
    }

    @Test func `print with their bounds and their delimiter`() throws {
        func array(_ type: SQLType, _ dimensions: [(Int32, Int32)], _ elements: [[UInt8]]) -> [UInt8] {
            big(Int32(dimensions.count)) + big(Int32(0)) + big(type.rawValue)
                + dimensions.flatMap { big($0.0) + big($0.1) } + elements.flatMap { big(Int32($0.count)) + $0 }
        }
        let numbers = [big(Int64(7)), big(Int64(8))]
        let shown: [([(Int32, Int32)], String)] = [
            ([(2, 1)], "{7,8}"), ([(2, 0)], "[0:1]={7,8}"), ([(1, 0), (2, 1)], "[0:0][1:2]={{7,8}}"),
            ([(2, 1), (1, -3)], "[1:2][-3:-3]={{7},{8}}"),
        ]
        for (dimensions, text) in shown {
            #expect(try decode(String.self, .int8Array, array(.int8, dimensions, numbers)) == text)
        }
        let words = ["a", "", "null", "a b", "a\nb", "a\\b", "a\"b", "a,b", "{}", "nulls"].map { Array($0.utf8) }
        let text = try decode(String.self, .textArray, array(.text, [(Int32(words.count), 1)], words))
        #expect(text == #"{a,"","null","a b","a"# + "\n" + #"b","a\\b","a\"b","a,b","{}",nulls}"#)
        let boxes = try encoded([SQLBox(high: SQLPoint(x: 3, y: 4), low: SQLPoint(x: 1, y: 2))])
        #expect(try decode(String.self, .boxArray, boxes) == "{(3,4),(1,2)}")
        #expect(reason { _ = try decode(String.self, .int8Array, encoded([1]) + [0]) }?.contains("too many") == true)
    }

    @Test(arguments: [
        "", "{", "{1", "{1,", "{,}", "{\"a", "{a\\", "}", "{1}x", "1", "{{1},2}", "{{{{{{{{{{1}}}}}}}}}}", "[1:2]",
    ])
    func `refuse text that is no array`(text: String) {
        #expect(reason { _ = try decode([Int].self, text: text) } != nil)
    }

    @Test func `go out as text where the element is text, so that the server infers the type`() throws {
        #expect(
            String(decoding: try encoded(["a", "b\"c\\", "NULL", ""]), as: UTF8.self) == #"{"a","b\"c\\","NULL",""}"#)
        #expect(String(decoding: try encoded(["a", nil]), as: UTF8.self) == #"{"a",NULL}"#)
        #expect(String(decoding: try encoded([["a"], ["b"]]), as: UTF8.self) == #"{{"a"},{"b"}}"#)
        let q: SQLQuery = "SELECT \(["a"]), \([Mood.happy])"
        #expect(q.parameters.parameters.map(\.isBinary) == [false, false])
        #expect(q.parameters.parameters.map(\.oid) == [0, 0])
    }

    @Test func `are refused with a nil in place of an array`() throws {
        #expect(try encoded([[1, nil], [2, 3]] as [[Int?]?]) == encoded([[1, nil], [2, 3]] as [[Int?]]))
        #expect(reason { _ = try encoded([[1], nil] as [[Int]?]) }?.contains("rectangle") == true)
        #expect(reason { _ = try encoded([nil, [1]] as [[Int]?]) }?.contains("rectangle") == true)
        #expect(try encoded([[1], nil] as [[UInt8]?]).count > 20)
    }

    @Test func `read from an enum's array`() throws {
        let bytes =
            big(Int32(1)) + big(Int32(0)) + big(Invented.mood.rawValue) + big(Int32(1)) + big(Int32(1)) + big(Int32(3))
            + Array("sad".utf8)
        #expect(try decode([Mood].self, Invented.moods, bytes) == [.sad])
    }

    @Test func `read from a JSON array`() throws {
        #expect(try decode([Int].self, .jsonb, [1] + Array("[1,2]".utf8)) == [1, 2])
        #expect(try decode([String].self, .json, Array(#"["a"]"#.utf8)) == ["a"])
    }

    @Test func `do not believe a false header`() {
        let huge = big(Int32(1)) + big(Int32(0)) + big(UInt32(20)) + big(Int32.max) + big(Int32(1))
        #expect(reason { _ = try decode([Int].self, .int8Array, huge) }?.contains("shorter") == true)
        let lengths: [[Int32]] = [[-1], [.max, .max, .max], [65_536, 65_536, 65_536, 65_536], [0, 5], [1, 0]]
        for lengths in lengths {
            let head = big(Int32(lengths.count)) + big(Int32(0)) + big(UInt32(20))
            let bytes = head + lengths.flatMap { big($0) + big(Int32(1)) }
            #expect(reason { _ = try decode(String.self, .int8Array, bytes) } != nil, "\(lengths)")
        }
        #expect(
            reason { _ = try decode([Int].self, .int8Array, big(Int32(7)) + big(Int32(0)) + big(UInt32(20))) } != nil)
        #expect(
            reason { _ = try decode([Int].self, .int8Array, big(Int32(-1)) + big(Int32(0)) + big(UInt32(20))) } != nil)
        #expect(reason { _ = try decode([Int].self, .int8Array, encoded([1, 2]) + [0]) }?.contains("too many") == true)
        #expect(reason { _ = try decode([Int].self, .int8Array, Array(encoded([1, 2]).dropLast())) } != nil)
        #expect(reason { _ = try decode([Int].self, .int8, encoded([1, 2])) } != nil)
    }
}
