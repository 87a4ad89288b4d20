import PoolSimulation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

let usage = """
    pool-simulator --seeds A..<B         play these seeds, each twice, and compare the traces
    pool-simulator --seed N              play one seed and print every line of its trace
    pool-simulator --exhaustive [LIMIT]  try every order of events of tiny pools, up to LIMIT states each
    """

func playSeeds(_ range: String) -> Int32 {
    let bounds = range.split(separator: "..<").compactMap { UInt64($0) }
    guard bounds.count == 2, bounds[0] <= bounds[1] else {
        print("not a range of seeds: \(range)\n\(usage)")
        return 2
    }
    let report = SeedRange(bounds[0]..<bounds[1]).play()
    print(report)
    return report.failures.isEmpty ? 0 : 1
}

func playOne(_ seed: String) -> Int32 {
    guard let seed = UInt64(seed) else {
        print("not a seed: \(seed)\n\(usage)")
        return 2
    }
    let outcome = Simulation.run(seed: seed, tellingAll: true)
    for line in outcome.failure?.lastLines ?? [] { print(line) }
    print("broken: \(outcome.failure?.promise ?? "nothing")\n\(outcome.failure?.configuration ?? "")")
    return outcome.failure?.promise == "nothing" ? 0 : 1
}

func exploreAll(limit: Int) -> Int32 {
    var isSound = true
    for subject in ModelChecker.subjects {
        var checker = ModelChecker(subject.configuration, subject.alphabet)
        let report = checker.run(limit: limit)
        print("\(subject): \(report)")
        if report.failure != nil { isSound = false }
    }
    return isSound ? 0 : 1
}

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, arguments.dropFirst().first) {
case ("--seeds", let range?): exit(playSeeds(range))
case ("--seed", let seed?): exit(playOne(seed))
case ("--exhaustive", let limit): exit(exploreAll(limit: limit.flatMap { Int($0) } ?? 1_000_000))
default:
    print(usage)
    exit(2)
}
