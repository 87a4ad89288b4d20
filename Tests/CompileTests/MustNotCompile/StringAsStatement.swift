// Text that was put together from strings is not a statement: an injection does not compile.
// expected: cannot convert value of type 'String' to expected argument type 'SQLQuery'

import PostgresSessions

func test(session: Session, name: String) async throws {
    let text = "DELETE FROM items WHERE name = '" + name + "'"
    try await session.execute(text)
}
