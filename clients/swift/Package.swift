// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "BonafideClient",
    platforms: [.iOS(.v13), .macOS(.v10_15)],
    products: [.library(name: "BonafideClient", targets: ["BonafideClient"])],
    dependencies: [.package(url: "https://github.com/daltoniam/Starscream.git", from: "4.0.8")],
    targets: [.target(name: "BonafideClient", dependencies: ["Starscream"])]
)
