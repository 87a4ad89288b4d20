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
        #expect(reason { _ = try decode([Int].self, .int8Array, huge) } != nil)
        #expect(
            reason { _ = try decode([Int].self, .int8Array, big(Int32(7)) + big(Int32(0)) + big(UInt32(20))) } != nil)
        #expect(
            reason { _ = try decode([Int].self, .int8Array, big(Int32(-1)) + big(Int32(0)) + big(UInt32(20))) } != nil)
        #expect(reason { _ = try decode([Int].self, .int8Array, encoded([1, 2]) + [0]) }?.contains("too many") == true)
        #expect(reason { _ = try decode([Int].self, .int8Array, Array(encoded([1, 2]).dropLast())) } != nil)
        #expect(reason { _ = try decode([Int].self, .int8, encoded([1, 2])) } != nil)
    }
}
