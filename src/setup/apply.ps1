
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3

# The two services whose permissions are given, by their well-known application IDs.
$Exchange = '00000002-0000-0ff1-ce00-000000000000'
$Graph = '00000003-0000-0000-c000-000000000000'

# The enterprise application (service principal) of an app registration in this tenant. Its Id is
# the Object ID that Exchange wants; the App registrations page shows another one.
function Get-EnterpriseApplication([string]$AppId) {
    $found = Get-MgServicePrincipal -Filter "appId eq '$($AppId.Replace("'", "''"))'"
    if (-not $found) {
        Write-Host "  making the enterprise application of $AppId"
        $found = New-MgServicePrincipal -AppId $AppId
    }
    $found
}

# An application permission with admin consent.
function Grant-ApplicationPermission($Application, [string]$Service, [string]$Permission) {
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $role = $resource.AppRoles | Where-Object { $_.Value -eq $Permission }
    if (-not $role) { throw "$($resource.DisplayName) has no application permission $Permission" }
    $given = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -All |
        Where-Object { $_.ResourceId -eq $resource.Id -and $_.AppRoleId -eq $role.Id }
    if ($given) { return }
    Write-Host "  granting $Permission of $($resource.DisplayName)"
    New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id `
        -PrincipalId $Application.Id -ResourceId $resource.Id -AppRoleId $role.Id | Out-Null
}

# Delegated permissions with admin consent, for everybody who signs in.
function Grant-DelegatedPermission($Application, [string]$Service, [string[]]$Permissions) {
    if (-not $Permissions) { return }
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $given = Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$($Application.Id)'" |
        Where-Object { $_.ResourceId -eq $resource.Id -and $_.ConsentType -eq 'AllPrincipals' }
    if (-not $given) {
        Write-Host "  consenting to $($Permissions -join ' ') of $($resource.DisplayName)"
        New-MgOauth2PermissionGrant -ClientId $Application.Id -ConsentType AllPrincipals `
            -ResourceId $resource.Id -Scope ($Permissions -join ' ') | Out-Null
        return
    }
    $had = @($given.Scope.Trim() -split '\s+')
    $missing = @($Permissions | Where-Object { $had -notcontains $_ })
    if ($missing) {
        Write-Host "  consenting to $($missing -join ' ') of $($resource.DisplayName)"
        Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $given.Id -Scope (($had + $missing) -join ' ')
    }
}

# Makes the app known to Exchange, by the Object ID of the enterprise application.
function Register-InExchange($Application, [string]$Name) {
    $found = Get-ServicePrincipal | Where-Object { $_.AppId -eq $Application.AppId }
    if ($found -and $found.ObjectId -ne $Application.Id) {
        Write-Host "  Exchange knows the app by a wrong Object ID, $($found.ObjectId): removing that"
        $found | Remove-ServicePrincipal -Confirm:$false
        $found = $null
    }
    if (-not $found) {
        Write-Host '  making the app known to Exchange'
        $found = New-ServicePrincipal -AppId $Application.AppId -ObjectId $Application.Id -DisplayName $Name
    }
    $found
}

# Graph for these mailboxes and no others (RBAC for Applications).
function Grant-GraphRole($Application, [string]$Role, [string]$Name, [string[]]$Mailboxes) {
    if (-not $Mailboxes) { return }
    $filter = ($Mailboxes | ForEach-Object { "PrimarySmtpAddress -eq '" + $_.Replace("'", "''") + "'" }) -join ' -or '
    if (Get-ManagementScope | Where-Object { $_.Name -eq $Name }) {
        Set-ManagementScope -Identity $Name -RecipientRestrictionFilter $filter
    }
    else {
        Write-Host "  making the scope $Name"
        New-ManagementScope -Name $Name -RecipientRestrictionFilter $filter | Out-Null
    }
    if (-not (Get-ManagementRoleAssignment | Where-Object { $_.Name -eq $Name })) {
        Write-Host "  giving the role $Role within it"
        New-ManagementRoleAssignment -Name $Name -App $Application.Id -Role $Role -CustomResourceScope $Name | Out-Null
    }
    # What holds for the whole tenant is not narrowed by a scope.
    $wide = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -All
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Graph'"
    $permission = $Role -replace '^Application ', ''
    $id = ($resource.AppRoles | Where-Object { $_.Value -eq $permission }).Id
    $wide | Where-Object { $_.AppRoleId -eq $id } | ForEach-Object {
        Write-Warning "the app has $permission for every mailbox of the tenant too; to keep to those above: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $($Application.Id) -AppRoleAssignmentId $($_.Id)"
    }
}

foreach ($tenant in $Tenants) {
    Write-Host "tenant $($tenant.Tenant)"
    Connect-MgGraph -TenantId $tenant.Tenant -Environment $tenant.GraphEnvironment -NoWelcome `
        -Scopes 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All', 'DelegatedPermissionGrant.ReadWrite.All'
    Connect-ExchangeOnline -ExchangeEnvironmentName $tenant.ExchangeEnvironment -ShowBanner:$false
    $connected = (Get-ConnectionInformation | Select-Object -Last 1).TenantID
    if ($connected -ne (Get-MgContext).TenantId) {
        throw "Exchange is that of tenant $connected, not of $($tenant.Tenant): sign in to both as an administrator of the same tenant"
    }

    foreach ($app in $tenant.Apps) {
        Write-Host "app $($app.AppId), server $($app.Server)"
        $application = Get-EnterpriseApplication $app.AppId
        foreach ($permission in $app.ExchangePermissions) {
            Grant-ApplicationPermission $application $Exchange $permission
        }
        Grant-DelegatedPermission $application $Exchange $app.DelegatedExchange
        Grant-DelegatedPermission $application $Graph $app.DelegatedGraph
        if ($app.OwnName) {
            $principal = Register-InExchange $application $app.Server
            foreach ($mailbox in $app.Mailboxes) {
                Write-Host "  full access to $mailbox"
                Add-MailboxPermission -Identity $mailbox -User $principal.Identity -AccessRights FullAccess `
                    -WarningAction SilentlyContinue | Out-Null
            }
            if ($TenantWide) {
                foreach ($permission in $app.GraphPermissions) {
                    Grant-ApplicationPermission $application $Graph $permission
                }
            }
            else {
                Grant-GraphRole $application 'Application Mail.ReadWrite' "$($app.OwnName) read" $app.GraphRead
                Grant-GraphRole $application 'Application Mail.Send' "$($app.OwnName) send" $app.GraphSend
            }
        }
    }

    # People who read mailboxes that are not their own.
    foreach ($delegate in $tenant.Delegates) {
        Write-Host "full access to $($delegate.Mailbox) for $($delegate.Account)"
        Add-MailboxPermission -Identity $delegate.Mailbox -User $delegate.Account -AccessRights FullAccess `
            -WarningAction SilentlyContinue | Out-Null
    }
    # Mailboxes that are read by IMAP.
    foreach ($mailbox in $tenant.Imap) {
        Set-CASMailbox -Identity $mailbox -ImapEnabled $true -WarningAction SilentlyContinue
    }
    # Mailboxes that submit by SMTP. The switch of the mailbox wins over that of the tenant.
    foreach ($mailbox in $tenant.Smtp) {
        Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $false -WarningAction SilentlyContinue
    }
    # Mailboxes that send as another address.
    foreach ($pair in $tenant.SendAs) {
        Write-Host "$($pair.Mailbox) may send as $($pair.Address)"
        Add-RecipientPermission -Identity $pair.Address -Trustee $pair.Mailbox -AccessRights SendAs `
            -Confirm:$false -WarningAction SilentlyContinue | Out-Null
    }
    Disconnect-ExchangeOnline -Confirm:$false
    Disconnect-MgGraph | Out-Null
}
Write-Host 'Done. Exchange takes up to an hour to heed it; then: queuemail check'
