//! One history judged by adya, for benchmarks/transactions.py.
//!
//! Usage: adya-benchmark list-append|rw-register MODEL FILE [each]
//!
//! With `each` the file holds many histories of JSON lines with empty lines between, for
//! benchmarks/compare_adya.py: for each a line with the verdict and the names.
//!
//! Prints one JSON object: the verdict, seconds and processor seconds of the check alone and from
//! the text on, the most memory held, and the names of the anomalies. Exit status: 0 printed, 2
//! wrong usage or no such history.

use std::fs;
use std::process::exit;
use std::time::Instant;

use adya::{check, History, Opts, Valid, Workload};

fn verdict_of(valid: Valid) -> &'static str {
    match valid {
        Valid::True => "valid",
        Valid::False => "invalid",
        Valid::Unknown => "unknown",
    }
}

fn judge_each(text: &str, workload: Workload, options: &Opts) {
    for one in text.split("\n\n").filter(|one| !one.trim().is_empty()) {
        match History::parse(one) {
            Ok(history) => {
                let report = check(&history, workload, options);
                println!("{} {}", verdict_of(report.valid), report.anomaly_types.join(" "));
            }
            Err(error) => println!("malformed {error}"),
        }
    }
}

/// Seconds of the processor that this process used: user and system, from /proc.
fn processor_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let workload = match arguments.get(1).map(String::as_str) {
        Some("list-append") => Workload::ListAppend,
        Some("rw-register") => Workload::RwRegister,
        _ => {
            eprintln!("usage: adya-benchmark list-append|rw-register MODEL FILE [each]");
            exit(2);
        }
    };
    let model = arguments.get(2).cloned().unwrap_or_default();
    let began = Instant::now();
    let text = fs::read_to_string(arguments.get(3).map_or("", String::as_str));
    let options = Opts { models: vec![model], wfr_keys: workload == Workload::RwRegister, ..Opts::default() };
    if arguments.get(4).map(String::as_str) == Some("each") {
        judge_each(&text.unwrap_or_default(), workload, &options);
        return;
    }
    let history = match text.map_err(|e| e.to_string()).and_then(|t| History::parse(&t).map_err(|e| e.to_string())) {
        Ok(history) => history,
        Err(error) => {
            eprintln!("adya-benchmark: {error}");
            exit(2);
        }
    };
    let read = (Instant::now(), processor_s());
    let report = check(&history, workload, &options);
    let verdict = verdict_of(report.valid);
    println!(
        "{{\"verdict\": \"{}\", \"engine_s\": {}, \"total_s\": {}, \"engine_cpu_s\": {}, \"total_cpu_s\": {}, \
         \"peak_bytes\": {}, \"anomalies\": {:?}}}",
        verdict,
        read.0.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64(),
        processor_s() - read.1,
        processor_s(),
        peak_bytes(),
        report.anomaly_types
    );
}
