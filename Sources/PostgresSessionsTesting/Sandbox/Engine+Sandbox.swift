public import PostgresSessions

extension Engine {
    /// Runs a test against the real database and leaves nothing behind: everything inside, commits included, is rolled back.
    ///
    /// The body's engine has one connection, in a transaction that is never committed; what its sessions commit is a savepoint
    /// of it. So sessions inside follow one another (two at once in one task wait for each other), isolation levels are the
    /// outer transaction's, and statements are refused that cannot run in a transaction, or whose text would end it. Sandboxes run in parallel.
    @discardableResult
    public func withSandbox<R>(_ body: (Engine) async throws -> R) async throws -> R {
        var configuration = configuration
        configuration.isSandbox = true
        configuration.pool.size = 1
        configuration.pool.maxOverflow = 0
        configuration.pool.minimumIdle = 0
        configuration.pool.prePing = .never
        configuration.pool.maxLifetime = nil
        configuration.pool.idleTimeout = nil
        configuration.pool.resetOnReturn = .none
        let sandbox = try Engine(configuration)
        do {
            let result = try await body(sandbox)
            await sandbox.shutdown(grace: .zero)
            return result
        } catch {
            await sandbox.shutdown(grace: .zero)
            throw error
        }
    }
}
