"""Configuration files of a cluster's programs.  `folder` is absolute and holds all of the cluster's files."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path

from tools.certificates import Authority
from tools.cluster.host import CGROUP, CNI_PLUGINS, NODE_ADDRESS

NODE = "node"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
POD_NETWORK = "10.85.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"  # as in services.yaml
PAUSE_IMAGE = "docker.io/library/cluster-pause:latest"
POD_NETWORK_CONFIG = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": POD_NETWORK}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


def write_settings(folder: Path) -> None:
    """Write all files. Whoever can read the folder may do anything in the cluster, which nobody else can reach."""
    (folder / "tokens").write_text('admin,admin,admin,"system:masters"\n', encoding="utf-8")
    subprocess.run(["openssl", "genrsa", "-out", folder / "accounts.key"], check=True, capture_output=True)
    authority = Authority("front proxy", timedelta(days=1))
    proxy = authority.client(timedelta(days=1), "front-proxy")
    (folder / "front-proxy-ca.crt").write_bytes(authority.certificate)
    (folder / "front-proxy.crt").write_bytes(proxy.certificate)
    (folder / "front-proxy.key").write_bytes(proxy.key)
    (folder / "resolv.conf").touch()
    network = Path("/etc/cni/net.d")
    network.mkdir(parents=True)
    (network / "pods.conflist").write_text(json.dumps(POD_NETWORK_CONFIG), encoding="utf-8")
    for name, text in {
        "kubeconfig": _KUBECONFIG,
        "containerd.toml": _CONTAINERD,
        "kubelet.yaml": _KUBELET,
        "kube-proxy.yaml": _KUBE_PROXY,
    }.items():
        (folder / name).write_text(text.replace("FOLDER", str(folder)), encoding="utf-8")


_KUBECONFIG = f"""
apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster: {{server: "https://{NODE_ADDRESS}:6443", certificate-authority: FOLDER/certs/apiserver.crt}}
users: [{{name: admin, user: {{token: admin}}}}]
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
current-context: test
"""

_CONTAINERD = f"""
version = 2
root = "FOLDER/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true # a lower one takes a right that root may lack
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
"""

_KUBELET = f"""
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{CONTAINERD_SOCKET}
cgroupDriver: cgroupfs
cgroupRoot: /{CGROUP}
failSwapOn: false
clusterDNS: [{DNS_ADDRESS}]
clusterDomain: cluster.local
resolvConf: FOLDER/resolv.conf
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
evictionHard: {{memory.available: 100Mi}} # the disk is not its own
imageGCHighThresholdPercent: 100 # no image could be pulled again
imageGCLowThresholdPercent: 99
"""

# With 0 it leaves alone what is set for the whole machine.
_KUBE_PROXY = f"""
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: FOLDER/kubeconfig}}
mode: iptables
clusterCIDR: {POD_NETWORK}
hostnameOverride: {NODE}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
"""
