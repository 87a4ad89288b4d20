internal import PostgresWire
internal import Synchronization

/// What a database's own types are: domains, enums, composites, ranges, arrays of these, and what extensions bring.
///
/// An object id does not tell, so a connection that meets one asks the server once (``PhysicalConnection/learnTypes(of:_:)``),
/// and every connection of the engine to the same server knows from then on. A type that is dropped and made again has
/// another id; what ALTER TYPE changes is forgotten when a value shows it, or when a statement of the engine's says so.
package final class TypeCatalog: Sendable {
    package enum Kind: Sendable, Equatable {
        /// Both of its forms are another type's: a domain's are its base's, an enum's are text's.
        case alias(SQLType)
        case array(of: SQLType, delimiter: UInt8)
        case composite
        case range(of: SQLType)
        /// Of this range type.
        case multirange(of: SQLType)
        case hstore
        case cube
        /// A version byte, 1, and the text: ltree and its queries.
        case versionedText
        /// A form that this library does not know.
        case opaque
    }

    package struct Entry: Sendable {
        var name: String
        var kind: Kind
        /// A composite's; values say them too, in binary.
        var fields: [SQLType]

        package init(_ name: String, _ kind: Kind, fields: [SQLType] = []) {
            (self.name, self.kind, self.fields) = (name, kind, fields)
        }
    }

    private struct State {
        var entries: [SQLType: Entry]
        /// Met in a value, and not known.
        var wanted: Set<SQLType> = []
        /// Known, but perhaps not any more: decoders go on with what there is until the server has been asked again.
        var doubtful: Set<SQLType> = []
    }

    private let state: Mutex<State>

    package init(_ entries: [SQLType: Entry] = [:]) { state = Mutex(State(entries: entries)) }

    // MARK: For decoders

    /// The type whose forms a type has: itself, but for domains, enums and their like. Of one that is not known, itself.
    func canonical(_ type: SQLType) -> SQLType {
        guard type.isOfDatabase else { return type }
        return state.withLock { state in
            var type = type
            // A domain may be one of a domain; no chain is longer than there are types.
            for _ in 0...state.entries.count {
                guard type.isOfDatabase else { return type }
                guard let entry = state.entries[type] else {
                    state.wanted.insert(type)
                    return type
                }
                guard case .alias(let base) = entry.kind else { return type }
                type = base
            }
            return type
        }
    }

    func kind(of type: SQLType) -> Kind? { state.withLock { $0.entries[type]?.kind } }

    /// nil for what is no composite.
    func fields(of type: SQLType) -> [SQLType]? {
        state.withLock { state in
            guard let entry = state.entries[type], entry.kind == .composite else { return nil }
            return entry.fields
        }
    }

    func name(of type: SQLType) -> String? { state.withLock { $0.entries[type]?.name } }

    /// A value is not what is known of its type: it was altered, and is asked for again.
    func doubt(_ type: SQLType) {
        state.withLock { state in
            state.doubtful.insert(type)
            state.wanted.insert(type)
        }
    }

    // MARK: For connections

    /// Whether there is nothing to ask the server before values of these types are decoded.
    func knows(_ types: [SQLType]) -> Bool {
        state.withLock { state in
            state.wanted.isEmpty
                && types.allSatisfy { state.entries[$0] != nil && !state.doubtful.contains($0) }
        }
    }

    /// Those that are not known, and those that values have shown since.
    func takeUnknown(of types: some Sequence<SQLType>) -> [SQLType] {
        state.withLock { state in
            var unknown = Set(types.filter { state.entries[$0] == nil || state.doubtful.contains($0) })
            unknown.formUnion(state.wanted)
            state.wanted = []
            return unknown.sorted { $0.rawValue < $1.rawValue }
        }
    }

    func learn(_ entries: [(SQLType, Entry)]) {
        state.withLock { state in
            for (type, entry) in entries {
                state.entries[type] = entry
                state.doubtful.remove(type)
            }
        }
    }

    /// After an ALTER, which changes composites; or all, where the server may be another one.
    func doubtComposites() {
        state.withLock { state in
            for (type, entry) in state.entries {
                guard entry.kind == .composite else { continue }
                state.doubtful.insert(type)
                state.wanted.insert(type)
            }
        }
    }

    func doubtAll() { state.withLock { $0.doubtful = Set($0.entries.keys) } }
}

extension SQLType {
    /// Ids from here on differ from database to database (FirstGenbkiObjectId in transam.h); so does what
    /// the row types of pg_type, pg_attribute, pg_proc, pg_class and pg_database are made of.
    var isOfDatabase: Bool {
        if rawValue >= 10_000 { return true }
        switch rawValue {
        case 71, 75, 81, 83, 210, 270, 272, 273, 1248: return true
        default: return false
        }
    }

    /// int2vector and oidvector, which are arrays in binary, and words in text.
    var isVector: Bool { rawValue == 22 || rawValue == 30 }

    /// Values say themselves which types are in them: record, record[] and anyarray.
    var namesItsParts: Bool { self == .record || rawValue == 2287 || rawValue == 2277 }
}

/// The catalogs of an engine's servers: where several are named in its URL, each may have ids of its own.
final class TypeCatalogs: Sendable {
    private let catalogs = Mutex<[String: TypeCatalog]>([:])

    func catalog(of target: String) -> TypeCatalog {
        catalogs.withLock { catalogs in
            if let known = catalogs[target] { return known }
            let catalog = TypeCatalog()
            catalogs[target] = catalog
            return catalog
        }
    }

    /// Where the servers may be others under the same names.
    func doubtAll() { catalogs.withLock { catalogs in catalogs.values.forEach { $0.doubtAll() } } }
}
