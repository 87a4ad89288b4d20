// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "postgres-sessions",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "PostgresSessions", targets: ["PostgresSessions"]),
        .library(name: "PostgresSessionsTesting", targets: ["PostgresSessionsTesting"]),
        .executable(name: "quickstart", targets: ["quickstart"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log.git", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.6.0"),
    ],
    targets: [
        // libpq itself: headers by pkg-config, one shim header with inline wrappers.
        .systemLibrary(
            name: "CLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"]), .brew(["libpq"]), .yum(["libpq-devel"])]
        ),
        // The policy of borrowing, as one value. Imports no sibling.
        .target(name: "PoolCore"),
        // libpq without blocking. The only Swift target that touches C.
        .target(name: "PostgresWire", dependencies: ["CLibPQ"]),
        // What people import.
        .target(
            name: "PostgresSessions",
            dependencies: [
                "PostgresWire", "PoolCore",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        // Throw-away servers and a fault proxy, for users' tests and ours.
        .target(name: "PostgresSessionsTesting", dependencies: ["PostgresSessions", "PostgresWire"]),
        .executableTarget(name: "quickstart", dependencies: ["PostgresSessions", "PostgresSessionsTesting"]),

        // A simulated world for the pool's policy: model checker, seeds, oracle. Not a product.
        .target(name: "PoolSimulation", dependencies: ["PoolCore"]),
        .executableTarget(name: "pool-simulator", dependencies: ["PoolSimulation"]),

        .testTarget(name: "PoolCoreTests", dependencies: ["PoolCore"]),
        .testTarget(name: "PoolSimulationTests", dependencies: ["PoolSimulation", "PoolCore"]),
        .testTarget(
            name: "PostgresSessionsTests", dependencies: ["PostgresSessions", "PostgresWire", "PoolCore", "CLibPQ"]),
        .testTarget(
            name: "PostgresSessionsTestingTests", dependencies: ["PostgresSessionsTesting", "PostgresWire"]),
        // The pool's shell on a scripted server, which needs no PostgreSQL.
        .testTarget(
            name: "ShellTests",
            dependencies: ["PostgresSessions", "PostgresWire", "PoolCore", "PostgresSessionsTesting"]),
        // These start private servers; without PostgreSQL's binaries they fail.
        .testTarget(
            name: "ServerTests",
            dependencies: ["PostgresSessions", "PostgresWire", "PoolCore", "PostgresSessionsTesting"]),
    ]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]
}

// `scripts/test --tsan` says so: the sanitizer needs locks that it can see into.
if Context.environment["THREAD_SANITIZER"] != nil {
    for target in package.targets where target.type != .system {
        target.swiftSettings?.append(.define("THREAD_SANITIZER"))
    }
}
