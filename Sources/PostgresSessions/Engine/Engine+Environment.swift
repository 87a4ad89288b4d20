extension Engine {
    /// An engine as the environment says: `DATABASE_URL`, or the PG* variables that libpq reads, and for the pool
    /// `POOL_SIZE`, `POOL_MAX_OVERFLOW` (a number or `unlimited`), `POOL_TIMEOUT` and `POOL_RECYCLE` in seconds.
    ///
    /// - Throws: ``EngineError/invalidConfiguration(_:)`` naming the variable that cannot mean anything.
    public convenience init(environment: [String: String]) throws {
        var pool = PoolOptions()
        if let size = try Self.integer("POOL_SIZE", environment) { pool.size = size }
        if environment["POOL_MAX_OVERFLOW"] == "unlimited" {
            pool.maxOverflow = .unlimited
        } else if let overflow = try Self.integer("POOL_MAX_OVERFLOW", environment) {
            pool.maxOverflow = PoolOptions.Overflow(overflow)
        }
        if let seconds = try Self.integer("POOL_TIMEOUT", environment) { pool.checkoutTimeout = .seconds(seconds) }
        if let seconds = try Self.integer("POOL_RECYCLE", environment) { pool.maxLifetime = .seconds(seconds) }
        try self.init(Configuration(url: Self.connectionString(environment), pool: pool))
    }

    private static func integer(_ name: String, _ environment: [String: String]) throws(EngineError) -> Int? {
        guard let text = environment[name], !text.isEmpty else { return nil }
        guard let value = Int(text) else { throw .invalidConfiguration("\(name) must be a whole number") }
        return value
    }

    /// The given PG* variables, as libpq's keywords: they need not be this process's own.
    private static func connectionString(_ environment: [String: String]) -> String {
        if let url = environment["DATABASE_URL"], !url.isEmpty { return url }
        let keywords = [
            ("PGHOST", "host"), ("PGHOSTADDR", "hostaddr"), ("PGPORT", "port"), ("PGDATABASE", "dbname"),
            ("PGUSER", "user"), ("PGPASSWORD", "password"), ("PGSSLMODE", "sslmode"), ("PGSSLROOTCERT", "sslrootcert"),
            ("PGAPPNAME", "application_name"), ("PGOPTIONS", "options"), ("PGSERVICE", "service"),
            ("PGCONNECT_TIMEOUT", "connect_timeout"), ("PGTARGETSESSIONATTRS", "target_session_attrs"),
        ]
        return keywords.compactMap { name, keyword in
            environment[name].map { value in
                "\(keyword)='\(value.escaping("'\\", with: { _ in UInt8(ascii: "\\") }))'"
            }
        }.joined(separator: " ")
    }
}
