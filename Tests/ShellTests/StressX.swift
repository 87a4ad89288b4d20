import PostgresSessions
import Synchronization
import Testing
import Foundation

@Suite struct StressX {
    @Test func `stress life`() async throws {
        await withTaskGroup(of: Void.self) { group in
            for lane in 0..<16 {
                group.addTask {
                    for round in 0..<150 {
                        let phase = Journal<String>()
                        let holder = Mutex<(ScriptedServer?, Engine?)>((nil, nil))
                        let done = Atomic<Bool>(false)
                        let work = Task {
                            try await withServer { server in
                                holder.withLock { $0.0 = server }
                                let diary = Diary()
                                try await withEngine(on: server, round % 2 == 0 ? one : PoolOptions(size: 1, maxOverflow: 0, resetOnReturn: .discardAll), observers: [diary]) { engine in
                                    holder.withLock { $0.1 = engine }
                                    if round % 4 == 1 { server.on(.statement("DISCARD ALL"), .cut, times: 1) }
                                    phase.append("1"); try await engine.answers(1)
                                    phase.append("2"); try await engine.answers(2)
                                    phase.append("end")
                                }
                                phase.append("ended")
                            }
                            done.store(true, ordering: .relaxed)
                        }
                        let start = ContinuousClock.now
                        while !done.load(ordering: .relaxed) {
                            try? await Task.sleep(for: .milliseconds(5))
                            if ContinuousClock.now - start > .seconds(8) {
                                let (s, e) = holder.withLock { $0 }
                                print("HUNG lane \(lane) round \(round)", phase.all, e.map { "\($0.statistics)" } ?? "-", s.map { "open \($0.open) logins \($0.logins) attempts \($0.attempts.count) statements \($0.statements)" } ?? "-")
                                fflush(nil)
                                sleep(20); exit(3)
                            }
                        }
                        _ = try? await work.value
                    }
                }
            }
        }
    }
}
