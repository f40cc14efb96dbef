//! What each check of manifests means, for people.

use crate::model::page::Page;

/// Every check that a fault can name.
pub const CHECKS: &[Page] = &[
    Page {
        id: "manifest/conntrack",
        title: "kube-proxy sets the conntrack limit that its configuration names",
        symptoms: &[],
        why: "kube-proxy takes maxPerCore x cores, or min where that is more. With maxPerCore 0 it sets nothing and does not read min; since 1.36 the product is bounded by 1048576, and above the bound min is not read.",
        change: "the min that every node should have, and maxPerCore as it is: a smaller one cuts the table of large nodes. For a min above 1048576 kube-proxy 1.36 and later needs maxPerCore: 1 beside it",
    },
    Page {
        id: "manifest/dns",
        title: "dnsConfig is one that the API server takes",
        symptoms: &[
            "must not have more than <n> nameservers",
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        ],
        why: "The API server takes at most three nameservers (glibc reads no more), wants one where dnsPolicy is None, and wants a name \
              and a text as value for each option.",
        change: "keep three nameservers, name each option, put values in quotes",
    },
    Page {
        id: "manifest/duplicate",
        title: "Each sysctl is there once",
        symptoms: &["spec.securityContext.sysctls<text>Duplicate value"],
        why: "The API server refuses a sysctl that is listed twice under one name. With dots and with slashes it takes both, and which \
              value the pod gets is not defined.",
        change: "keep one of them, with dots",
    },
    Page {
        id: "manifest/flags",
        title: "No flag of kube-proxy stands beside --config",
        symptoms: &[],
        why: "kube-proxy takes everything from the file that --config names, but for the flags of its log and --hostname-override: another flag beside it is read and has no effect.",
        change: "write it into the KubeProxyConfiguration",
    },
    Page {
        id: "manifest/host-namespace",
        title: "A pod in the host's namespace sets no sysctl of it",
        symptoms: &["may not be specified when 'hostNetwork' is true", "may not be specified when 'hostIPC' is true"],
        why: "A net.* sysctl of a pod with hostNetwork, and an IPC sysctl of one with hostIPC, would be the node's own: the API server \
              refuses the pod, and a kubelet rejects it.",
        change: "set it on the node (tunecheck there says in which file), or do without the host's namespace",
    },
    Page {
        id: "manifest/impossible",
        title: "A pod asks for no sysctl that only the node has",
        symptoms: &[],
        why: "A sysctl that is not namespaced, or that a pod's network namespace lacks, cannot be set from a pod, whatever the kubelet \
              allows: the pod is rejected (SysctlForbidden) or its sandbox is never made.",
        change: "delete it from the pod; set it on the node if it is needed",
    },
    Page {
        id: "manifest/jvm",
        title: "The heap of a JVM fits into the memory of its container",
        symptoms: &[
            "Initial heap size set to a larger value than the maximum heap size",
            "MaxRAMPercentage<text>is outside the allowed range",
        ],
        why: "Heap, metaspace, thread stacks and direct buffers share the container's memory. -Xmx at the limit ends with the OOM killer \
              before the heap is full; a percentage without a limit is one of the node's memory.",
        change: "resources.limits.memory, and -XX:MaxRAMPercentage=75 in place of -Xmx: less where MaxDirectMemorySize is stated, which has to fit beside it",
    },
    Page {
        id: "manifest/kubelet",
        title: "The kubelet starts with its configuration, and so do its pods",
        symptoms: &[
            "invalid configuration: maxOpenFiles<text>must not be a negative number",
            "invalid configuration: maxPods<text>must not be a negative number",
        ],
        why: "A number that is text, or negative where the kubelet wants none, ends the kubelet before it begins. podPidsLimit becomes pids.max of each pod's group, of which the kernel takes no more than 4194304: above it no pod starts. maxOpenFiles is the kubelet's own limit, not that of pods. Of its values these two, maxPods and allowedUnsafeSysctls are judged; of all other fields only the names.",
        change: "the number without quotes, within its range",
    },
    Page {
        id: "manifest/load",
        title: "What a manifest sets carries the declared load",
        symptoms: &[],
        why: "With --connections, --burst or --workload the values in the manifest are judged by the rules of the audit: the finding \
              names the number that the load needs.",
        change: "the value that the finding names, or a smaller declared load",
    },
    Page {
        id: "manifest/name",
        title: "Each sysctl has a name that the API server takes",
        symptoms: &["spec.securityContext.sysctls<text>must have at most <n> characters and match regex"],
        why: "A sysctl's name is lower-case words of letters, digits, - and _, with dots (or slashes) between them.",
        change: "write it as sysctl -a prints it",
    },
    Page {
        id: "manifest/no-such-field",
        title: "Every field of a pod is one that Kubernetes has",
        symptoms: &["unknown field \"spec", "strict decoding error: unknown field", "unknown field in<text>PodSpec"],
        why: "The API server drops a field that it does not know, with a warning at most: what stands there has no effect. There is no \
              field for ulimits in a pod.",
        change: "the field that the finding names, or the node's container runtime",
    },
    Page {
        id: "manifest/no-such-sysctl",
        title: "Every sysctl is one that some kernel has",
        symptoms: &[],
        why: "A name that no kernel has is a slip: there is no file to write to, and the pod's sandbox is never made. A name that is not known here may belong to a kernel module of the node.",
        change: "the name that the finding proposes; sysctl -a on a node lists them",
    },
    Page {
        id: "manifest/ports",
        title: "The range of local ports is one that the kernel takes, clear of the pod's own ports, and those are ports",
        symptoms: &[
            "must match `hostPort` when `hostNetwork` is true",
            "hostPort: Duplicate value",
            "ports[<n>].name: Duplicate value",
        ],
        why: "The kernel refuses a range that ends before it begins or that begins below net.ipv4.ip_unprivileged_port_start. A range \
              that holds the port of one of the pod's servers lets an outgoing connection take that port before the server binds it.",
        change: "a range such as \"10240 65535\", and the servers' ports in net.ipv4.ip_local_reserved_ports",
    },
    Page {
        id: "manifest/quantity",
        title: "An amount of memory or CPU is one that the API server takes",
        symptoms: &["quantities must match the regular expression"],
        why: "A quantity is a number with a suffix such as Mi, Gi, M or m. GB and g are none: the API server refuses the object. 512m of memory is half a byte.",
        change: "Mi or Gi behind a number",
    },
    Page {
        id: "manifest/quotes",
        title: "The value of a sysctl is text",
        symptoms: &["cannot unmarshal number into Go struct field Sysctl<text>value of type string"],
        why: "The API server takes text as the value of a sysctl: a bare number or yes is none, and the object is refused.",
        change: "put the value in quotes",
    },
    Page {
        id: "manifest/removed",
        title: "No sysctl is one that the kernel has removed",
        symptoms: &[],
        why: "A sysctl that the kernel removed (net.ipv4.tcp_tw_recycle, in Linux 4.12) has no file to write to: the pod's sandbox is never \
              made, and the kubelet tries for ever.",
        change: "delete it: nothing takes its place",
    },
    Page {
        id: "manifest/runtime-memory",
        title: "The heap that Node or Go is told fits into the memory of its container",
        symptoms: &[],
        why: "--max-old-space-size bounds V8's old generation alone, and GOMEMLIMIT is what Go collects by: at the container's limit or above it the kernel kills the process first.",
        change: "--max-old-space-size of at most three quarters of the limit, GOMEMLIMIT of about nine tenths",
    },
    Page {
        id: "manifest/slashes",
        title: "Sysctls are named with dots",
        symptoms: &[],
        why: "Pod Security compares the names of sysctls letter by letter: in a namespace that enforces baseline or restricted a safe \
              sysctl that is written with slashes is refused.",
        change: "write it with dots",
    },
    Page {
        id: "manifest/syntax",
        title: "Every document can be read",
        symptoms: &["error converting YAML to JSON: yaml", "failed to load Kubelet config file<text>failed to decode"],
        why: "kubectl cannot read the document, or it is a template that has to be filled in first. A kubelet or kube-proxy does not start \
              with a configuration in which a list, a map or a single value stands where another of them belongs.",
        change: "correct it, or: helm template CHART | tunecheck manifest -",
    },
    Page {
        id: "manifest/sysctl-command",
        title: "What a container tunes itself is its own, exists, and is not lowered",
        symptoms: &["sysctl: error setting key"],
        why: "sysctl -w in a container that is not privileged fails: /proc/sys is read-only there. In one that is, a sysctl of the network or IPC namespace is the pod's, and every other one the node's: it changes for all pods of the node until it boots. A name that the kernel lacks ends the command, and a container of which it is the last or under set -e.",
        change: "a pod's own in securityContext.sysctls; the node's where the node is made",
    },
    Page {
        id: "manifest/sysctl-form",
        title: "sysctls is a list of names and values",
        symptoms: &[],
        why: "securityContext.sysctls is a list of maps with name and value. As one map, or with entries that are no maps, the API server refuses the object.",
        change: "- {name: net.ipv4.tcp_syncookies, value: \"1\"}",
    },
    Page {
        id: "manifest/sysctl-value",
        title: "The value of a sysctl is one that the kernel takes",
        symptoms: &[
            "failed to write to /proc/sys/<name>: invalid argument",
            "write /proc/sys/<name>: invalid argument",
        ],
        why: "The kernel refuses text where it wants a number, and numbers outside of a sysctl's range: the pod's sandbox is never made.",
        change: "a value that sysctl -w takes on a machine with the same kernel",
    },
    Page {
        id: "manifest/ulimit-command",
        title: "ulimit acts where it is meant and leaves the hard limit",
        symptoms: &["ulimit: open files: cannot modify limit: Operation not permitted"],
        why: "ulimit acts on its shell and what that starts: what an init container sets ends with it. Without -S it sets the hard limit too, which only a privileged process can raise again, and fails where the hard limit is lower.",
        change: "ulimit -Sn at the start of the entrypoint of the container that needs it",
    },
    Page {
        id: "manifest/ulimits",
        title: "The limits of a container are ones that its runtime and the kernel take",
        symptoms: &["error setting rlimit type <n>: operation not permitted"],
        why: "The kernel refuses a soft limit above the hard one, and a limit on open files above fs.nr_open, which unlimited always is: the container does not start.",
        change: "a soft limit of no more than the hard one, and a number for nofile",
    },
    Page {
        id: "manifest/unsafe",
        title: "A pod asks for safe sysctls, or for those that its kubelet allows",
        symptoms: &[
            "forbidden sysctl: <name> not allowlisted",
            "forbidden sysctl: <name> not whitelisted",
            "SysctlForbidden",
            "violates PodSecurity<text>forbidden sysctls (<name>",
        ],
        why: "A kubelet rejects a pod with a sysctl that is neither on Kubernetes' list of safe ones nor in its own allowedUnsafeSysctls \
              (SysctlForbidden). A Deployment makes a new pod each time. Which are safe depends on the kubelet's release.",
        change: "allowedUnsafeSysctls in the KubeletConfiguration of some nodes and a nodeSelector for them, or do without it",
    },
    Page {
        id: "manifest/windows",
        title: "A pod for Windows has no fields of Linux",
        symptoms: &[],
        why: "With os.name: windows the API server refuses what only Linux has, sysctls among it.",
        change: "delete them, or make it a pod for Linux",
    },
];
