import Foundation

/// A race's table: the figures, and every entrant's ratio to each reference.
struct Report {
    var race: Race
    var results: Results

    func print() {
        Swift.print("\n\(race.title)")
        let rows = [header] + race.entrants.map { row($0.label) }
        let widths = header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = row.indices.map { column in
                column == 0 ? row[0].padded(widths[0]) : row[column].padded(widths[column], left: true)
            }
            Swift.print("  " + cells.joined(separator: "   "))
        }
        for target in race.targets {
            let mark = target.isMet(results) ? "✓ met   " : "✗ MISSED"
            Swift.print("  \(mark)  \(target.sentence): \(target.value(results))")
        }
    }

    private var header: [String] {
        let figures =
            switch race.unit {
            case .queries: ["per second", "CPU µs"]
            case .cycles: ["wall ns", "CPU ns"]
            case .rows: ["k rows/s", "CPU ns"]
            }
        return ["", figures[0]] + race.references.map { "× \($0)" } + [figures[1]] + race.references.map { "× \($0)" }
            + (race.unit == .rows ? ["peak MiB"] : [])
    }

    private func row(_ label: String) -> [String] {
        switch race.unit {
        case .queries:
            return [label, "\(Int(results.median(label, \.perSecond)))"] + ratios(label, \.perSecond)
                + [tenths(results.median(label, \.cpuPerOperation) / 1000)] + ratios(label, \.cpuPerOperation)
        case .rows:
            return [label, "\(Int(results.median(label, \.perSecond) / 1000))"] + ratios(label, \.perSecond)
                + ["\(Int(results.median(label, \.cpuPerOperation)))"] + ratios(label, \.cpuPerOperation)
                + ["\(Int(results.median(label, \.peakMebibytes)))"]
        case .cycles:
            return [label, "\(Int(results.median(label, \.wallPerOperation)))"] + ratios(label, \.wallPerOperation)
                + ["\(Int(results.median(label, \.cpuPerOperation)))"] + ratios(label, \.cpuPerOperation)
        }
    }

    private func ratios(_ label: String, _ figure: (Measurement) -> Double) -> [String] {
        race.references.map { reference in
            reference == label ? "1" : hundredths(results.ratio(label, to: reference, figure))
        }
    }

    private func tenths(_ value: Double) -> String { String(format: "%.1f", value) }
    private func hundredths(_ value: Double) -> String { String(format: "%.2f", value) }
}

extension String {
    fileprivate func padded(_ width: Int, left: Bool = false) -> String {
        let padding = String(repeating: " ", count: max(0, width - count))
        return left ? padding + self : self + padding
    }
}
