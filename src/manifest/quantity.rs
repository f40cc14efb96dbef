//! Amounts: those of Kubernetes, and those of the JVM.

/// A Kubernetes quantity such as `2Gi`, `512M`, `1.5e9`, `500m`
/// (kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity); none for what the API server refuses.
pub(super) fn amount(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let (number, unit) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    let (digits, exponent) = number.split_once(['e', 'E']).map_or((number, None), |(digits, e)| (digits, Some(e)));
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = (unsigned(digits), exponent.map(unsigned));
    let (whole, fraction) = whole.split_once('.').unwrap_or((&whole, ""));
    if !all_digits(&format!("{whole}{fraction}")) || !part.is_none_or(|part| all_digits(&part) && *unit == 1.0) {
        return None;
    }
    let amount = number.parse::<f64>().ok()? * unit;
    amount.is_finite().then_some(amount)
}

/// Bytes of a quantity of memory that is more than nothing.
pub(super) fn bytes(text: &str) -> Option<f64> {
    amount(text).filter(|amount| *amount > 0.0)
}

/// Whether a quantity has the unit of thousandths.
pub(super) fn is_milli(text: &str) -> bool {
    text.ends_with('m') && amount(text).is_some()
}

/// Bytes of a JVM size such as `512m`, `2g` (java(1)).
pub(super) fn of_jvm(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1_048_576.0,
        "g" => 1_073_741_824.0,
        "t" => 1_099_511_627_776.0,
        _ => return None,
    };
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<f64>().ok())?.map(|number| number * unit)
}

/// Bytes of a size such as `512m`, `1.5gb`, as Docker reads it: in units of 1024, in either case
/// (github.com/docker/go-units, RAMInBytes).
pub(super) fn of_docker(text: &str) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let size = match lower.get(number.len()..)? {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1_048_576.0,
        "g" | "gb" | "gib" => 1_073_741_824.0,
        "t" | "tb" | "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    let number = number.trim_end().parse::<f64>().ok()?;
    (number.is_finite() && number > 0.0).then_some(number * size)
}

/// Bytes as a person reads them.
pub(super) fn shown(bytes: f64) -> String {
    let mebibytes = bytes / 1_048_576.0;
    if mebibytes >= 1.0 { format!("{} MiB", mebibytes.round()) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_and_java_read_them() {
        assert_eq!(bytes("1Gi"), Some(1_073_741_824.0));
        assert_eq!(bytes("1.5G"), Some(1.5e9));
        assert_eq!(bytes("1e9"), Some(1e9));
        assert_eq!(bytes("1E"), Some(1e18));
        assert_eq!(bytes("512m"), Some(0.512));
        assert_eq!(
            (amount("0"), amount(".5"), amount("-1"), amount("1E3")),
            (Some(0.0), Some(0.5), Some(-1.0), Some(1e3))
        );
        assert!(is_milli("512m") && !is_milli("512Mi") && !is_milli("m"));
        for text in
            ["", "Gi", "1gi", "1 Gi", "inf", "{{ x }}", "1KB", "1GB", "1g", "1e", "1e3Mi", "e3", "1.2.3", "0x10", "1K"]
        {
            assert_eq!(amount(text), None, "{text}");
        }
        assert_eq!((bytes("0"), bytes("-1")), (None, None));
        assert_eq!([of_docker("1.5GB"), of_docker("64 m")], [Some(1_610_612_736.0), Some(67_108_864.0)]);
        for text in ["", "0", "-1", "inf", "1x", "${MEM}"] {
            assert_eq!(of_docker(text), None, "{text}");
        }
        assert_eq!(of_jvm("2G"), Some(2_147_483_648.0));
        assert_eq!(of_jvm("1024"), Some(1024.0));
        for text in ["", "g", "1.5g", "2gb", "$X", "é"] {
            assert_eq!(of_jvm(text), None, "{text}");
        }
    }
}
