// swift-tools-version: 6.2
import PackageDescription

// A package of its own: nobody who uses the library builds it.
let package = Package(
    name: "postgres-sessions-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "postgres-sessions", path: "..")
    ],
    targets: [
        .systemLibrary(
            name: "CBenchmarkLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"]), .brew(["libpq"]), .yum(["libpq-devel"])]
        ),
        // What a careful C programmer writes on libpq: the floor that everything is compared with.
        .target(
            name: "CBaselines",
            dependencies: ["CBenchmarkLibPQ"],
            cSettings: [.define("_GNU_SOURCE", .when(platforms: [.linux]))]
        ),
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "CBaselines",
                .product(name: "PostgresSessions", package: "postgres-sessions"),
                .product(name: "PostgresSessionsTesting", package: "postgres-sessions"),
            ]
        ),
    ]
)

for target in package.targets where target.name == "benchmarks" {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]
}
