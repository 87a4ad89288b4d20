extension SQLType {
    private static let lesserNames: [UInt32: String] = [
        22: "int2vector", 24: "regproc", 27: "tid", 30: "oidvector", 194: "pg_node_tree", 1033: "aclitem",
        1790: "refcursor",
        2202: "regprocedure", 2203: "regoper", 2204: "regoperator", 2275: "cstring", 2277: "anyarray", 2278: "void",
        2970: "txid_snapshot", 3220: "pg_lsn", 3614: "tsvector", 3615: "tsquery", 3642: "gtsvector", 3734: "regconfig",
        3769: "regdictionary", 4072: "jsonpath", 4089: "regnamespace", 4096: "regrole", 4191: "regcollation",
        5038: "pg_snapshot",
    ]

    /// By their arrays' ids: types that have no name here (pg_type.dat, versions 14 to 17); and the elements of vectors.
    private static let lesserElements: [UInt32: UInt32] = [
        22: 21, 30: 26, 1006: 22, 1008: 24, 1010: 27, 1013: 30, 1034: 1033, 1263: 2275, 2201: 1790, 2207: 2202,
        2208: 2203, 2209: 2204,
        210: 71, 270: 75, 272: 81, 273: 83, 2287: 2249, 2949: 2970, 3221: 3220, 3643: 3614, 3644: 3642, 3645: 3615,
        3735: 3734, 3770: 3769, 4073: 4072,
        4090: 4089, 4097: 4096, 4192: 4191, 5039: 5038,
    ]

    /// The element's type, for an array of a built-in type.
    package var element: SQLType? {
        switch self {
        case .boolArray: .bool
        case .byteaArray: .bytea
        case .charArray: .char
        case .nameArray: .name
        case .int8Array: .int8
        case .int2Array: .int2
        case .int4Array: .int4
        case .textArray: .text
        case .oidArray: .oid
        case .xidArray: .xid
        case .cidArray: .cid
        case .jsonArray: .json
        case .xmlArray: .xml
        case .pointArray: .point
        case .lsegArray: .lseg
        case .pathArray: .path
        case .boxArray: .box
        case .polygonArray: .polygon
        case .lineArray: .line
        case .cidrArray: .cidr
        case .float4Array: .float4
        case .float8Array: .float8
        case .circleArray: .circle
        case .macaddr8Array: .macaddr8
        case .moneyArray: .money
        case .macaddrArray: .macaddr
        case .inetArray: .inet
        case .bpcharArray: .bpchar
        case .varcharArray: .varchar
        case .dateArray: .date
        case .timeArray: .time
        case .timestampArray: .timestamp
        case .timestamptzArray: .timestamptz
        case .intervalArray: .interval
        case .timetzArray: .timetz
        case .bitArray: .bit
        case .varbitArray: .varbit
        case .numericArray: .numeric
        case .uuidArray: .uuid
        case .jsonbArray: .jsonb
        case .xid8Array: .xid8
        case .int4rangeArray: .int4range
        case .numrangeArray: .numrange
        case .tsrangeArray: .tsrange
        case .tstzrangeArray: .tstzrange
        case .daterangeArray: .daterange
        case .int8rangeArray: .int8range
        case .int4multirangeArray: .int4multirange
        case .nummultirangeArray: .nummultirange
        case .tsmultirangeArray: .tsmultirange
        case .tstzmultirangeArray: .tstzmultirange
        case .datemultirangeArray: .datemultirange
        case .int8multirangeArray: .int8multirange
        case .regclassArray: .regclass
        case .regtypeArray: .regtype
        default: Self.lesserElements[rawValue].map { SQLType($0) }
        }
    }

    /// nil for arrays, and for types that this library has no name for.
    var name: String? {
        switch self {
        case .unknown: "unknown"
        case .bool: "bool"
        case .bytea: "bytea"
        case .char: "char"
        case .name: "name"
        case .int8: "int8"
        case .int2: "int2"
        case .int4: "int4"
        case .text: "text"
        case .oid: "oid"
        case .xid: "xid"
        case .cid: "cid"
        case .json: "json"
        case .xml: "xml"
        case .point: "point"
        case .lseg: "lseg"
        case .path: "path"
        case .box: "box"
        case .polygon: "polygon"
        case .line: "line"
        case .cidr: "cidr"
        case .float4: "float4"
        case .float8: "float8"
        case .circle: "circle"
        case .macaddr8: "macaddr8"
        case .money: "money"
        case .macaddr: "macaddr"
        case .inet: "inet"
        case .bpchar: "bpchar"
        case .varchar: "varchar"
        case .date: "date"
        case .time: "time"
        case .timestamp: "timestamp"
        case .timestamptz: "timestamptz"
        case .interval: "interval"
        case .timetz: "timetz"
        case .bit: "bit"
        case .varbit: "varbit"
        case .numeric: "numeric"
        case .uuid: "uuid"
        case .jsonb: "jsonb"
        case .xid8: "xid8"
        case .int4range: "int4range"
        case .numrange: "numrange"
        case .tsrange: "tsrange"
        case .tstzrange: "tstzrange"
        case .daterange: "daterange"
        case .int8range: "int8range"
        case .int4multirange: "int4multirange"
        case .nummultirange: "nummultirange"
        case .tsmultirange: "tsmultirange"
        case .tstzmultirange: "tstzmultirange"
        case .datemultirange: "datemultirange"
        case .int8multirange: "int8multirange"
        case .record: "record"
        case .regclass: "regclass"
        case .regtype: "regtype"
        default: nil
        }
    }
}

extension SQLType: CustomStringConvertible {
    /// Whether this library has a name for the type.
    var isNamed: Bool { name != nil || Self.lesserNames[rawValue] != nil || element != nil }

    /// The type's name, `int8` or `int8[]`; `type 16411` for one that is not built in.
    public var description: String {
        if let name { return name }
        if let name = Self.lesserNames[rawValue] { return name }
        if let element, element.name ?? Self.lesserNames[element.rawValue] != nil { return element.description + "[]" }
        return "type \(rawValue)"
    }
}
